-- Takes the place that somebody claimed for us under this token.
UPDATE acctflow.pipelines p
SET owner_pid = me.pid, owner_start = me.backend_start
FROM (SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) me
WHERE p.source = $1 AND p.shard = $2::integer AND p.token = $3::bigint
RETURNING p.pipeline, p.token, p.committed_offset, (extract(epoch FROM p.ingested_at AT TIME ZONE 'UTC') * 1000000)::bigint
