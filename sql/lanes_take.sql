UPDATE acctflow.source_lanes
SET token = token + 1, owner_pid = CASE WHEN $2::boolean THEN pg_backend_pid() END,
    owner_start = CASE WHEN $2::boolean THEN (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) END
WHERE name = $1
RETURNING lane, token, committed_offset, (extract(epoch FROM ingested_at) * 1000000)::bigint
