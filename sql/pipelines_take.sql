-- Takes the pipeline over, whose delivery is locked. $3: this backend is its writer from now on. $4: the number of shards
-- must be that.
UPDATE acctflow.pipelines p
SET token = greatest(p.token, d.token) + 1, owner_pid = CASE WHEN $3::boolean THEN me.pid END,
    owner_start = CASE WHEN $3::boolean THEN me.backend_start END
FROM (SELECT pid, backend_start FROM pg_stat_get_activity(pg_backend_pid())) me, acctflow.inputs i, acctflow.deliveries d
WHERE p.source = $1 AND p.shard = $2::integer AND i.name = p.source AND i.shards = $4::integer AND d.pipeline = p.pipeline
RETURNING p.pipeline, p.token, p.committed_offset, (extract(epoch FROM p.ingested_at AT TIME ZONE 'UTC') * 1000000)::bigint,
          d.delivered_offset
