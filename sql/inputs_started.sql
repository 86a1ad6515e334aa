-- When reading began, of a source ($1; null: of the first one). The virtual clock's sources began at its epoch.
SELECT (extract(epoch FROM min(started_at)) * 1000000)::bigint FROM acctflow.inputs WHERE $1::text IS NULL OR name = $1
