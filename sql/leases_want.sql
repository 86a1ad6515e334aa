-- Asks for pipelines of others.
UPDATE acctflow.leases l
SET wanted_by = $1
FROM unnest($2::text[], $3::integer[]) u (source, shard)
WHERE l.source = u.source AND l.shard = u.shard AND l.machine <> $1 AND l.wanted_by IS NULL
