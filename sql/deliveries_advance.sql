-- Never further than what is committed: a database that lost commits must not record that they were delivered.
UPDATE acctflow.deliveries d
SET delivered_offset = coalesce($3::bigint, d.delivered_offset), owner_pid = me.pid, owner_start = me.backend_start, updated_at = now()
FROM (SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) me, acctflow.pipelines p
WHERE d.pipeline = $1::integer AND d.token = $2::bigint AND p.pipeline = d.pipeline
  AND ($3::bigint IS NULL OR $3::bigint <= p.committed_offset)
RETURNING d.token
