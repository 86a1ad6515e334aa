UPDATE acctflow.leases l
SET machine = $1, wanted_by = NULL, changed_at = now()
FROM unnest($2::text[], $3::integer[]) u (source, shard)
WHERE l.source = u.source AND l.shard = u.shard AND l.machine IS NULL
