-- The backend that works for this pipeline, if it lives.
SELECT a.pid FROM acctflow.pipelines p
JOIN pg_stat_activity a ON a.pid = p.owner_pid AND a.backend_start = p.owner_start AND a.pid <> pg_backend_pid()
WHERE p.source = $1 AND p.shard = $2::integer
