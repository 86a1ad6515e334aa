-- Hands over what a machine has stopped: to the one that wants it, or to anybody.
UPDATE acctflow.leases l
SET machine = l.wanted_by, wanted_by = NULL, changed_at = now(), lag = NULL
FROM unnest($2::text[], $3::integer[]) u (source, shard)
WHERE l.source = u.source AND l.shard = u.shard AND l.machine = $1
