-- Takes the pipeline over. $3: this backend is its writer from now on.
UPDATE acctflow.pipelines p
SET token = p.token + 1, owner_pid = CASE WHEN $3::boolean THEN me.pid END,
    owner_start = CASE WHEN $3::boolean THEN me.backend_start END
FROM (SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) me, acctflow.inputs i
WHERE p.source = $1 AND p.shard = $2::integer AND i.name = p.source AND i.shards = $4::integer
RETURNING p.pipeline, p.token, p.committed_offset, (extract(epoch FROM p.ingested_at AT TIME ZONE 'UTC') * 1000000)::bigint
