-- The backend that works for this pipeline, if it lives. It is the function below pg_stat_activity: Citus asks for rights
-- on the tables of a view.
SELECT a.pid FROM acctflow.pipelines p
JOIN pg_stat_get_activity(NULL) a ON a.pid = p.owner_pid AND a.backend_start = p.owner_start AND a.pid <> pg_backend_pid()
WHERE p.source = $1 AND p.shard = $2::integer
