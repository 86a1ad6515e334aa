-- Takes the place that somebody claimed for us under this token.
UPDATE acctflow.pipelines p
SET owner_pid = me.pid, owner_start = me.backend_start
FROM (SELECT pid, backend_start FROM pg_stat_get_activity(pg_backend_pid())) me, acctflow.deliveries d
WHERE p.source = $1 AND p.shard = $2::integer AND p.token = $3::bigint AND d.pipeline = p.pipeline AND d.token = p.token
RETURNING p.pipeline, p.token, p.committed_offset, (extract(epoch FROM p.ingested_at AT TIME ZONE 'UTC') * 1000000)::bigint,
          d.delivered_offset
