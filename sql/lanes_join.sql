-- Takes the place that somebody claimed for us under this token.
UPDATE acctflow.source_lanes
SET owner_pid = pg_backend_pid(), owner_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
WHERE name = $1 AND token = $2::bigint
RETURNING lane, token, committed_offset, (extract(epoch FROM ingested_at) * 1000000)::bigint
