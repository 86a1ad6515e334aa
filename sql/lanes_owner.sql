-- The backend that works for this source, if it lives.
SELECT a.pid FROM acctflow.source_lanes l
JOIN pg_stat_activity a ON a.pid = l.owner_pid AND a.backend_start = l.owner_start AND a.pid <> pg_backend_pid()
WHERE l.name = $1 LIMIT 1
