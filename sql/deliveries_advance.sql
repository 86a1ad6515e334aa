-- Never further than what is committed, and only where what this ack recorded last ($4, in microseconds) is still there: a
-- database that went back must not record that what it lost was delivered. The time never goes back by itself.
UPDATE acctflow.deliveries d
SET delivered_offset = coalesce($3::bigint, d.delivered_offset), owner_pid = me.pid, owner_start = me.backend_start,
    updated_at = greatest(now(), d.updated_at)
FROM (SELECT pid, backend_start FROM pg_stat_get_activity(pg_backend_pid())) me, acctflow.pipelines p
WHERE d.pipeline = $1::integer AND d.token = $2::bigint AND p.pipeline = d.pipeline
  AND ($3::bigint IS NULL OR $3::bigint <= p.committed_offset)
  AND ($4::bigint IS NULL OR $4::bigint <= extract(epoch FROM d.updated_at AT TIME ZONE 'UTC') * 1000000)
RETURNING (extract(epoch FROM d.updated_at AT TIME ZONE 'UTC') * 1000000)::bigint
