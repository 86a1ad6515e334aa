-- What is done is nobody's, unless somebody who joined later has it. That it was done is noted once by each machine.
UPDATE acctflow.leases l
SET machine = NULL, wanted_by = NULL, changed_at = now(), done_at = now(), lag = NULL
FROM unnest($2::text[], $3::integer[]) u (source, shard), acctflow.machines m
WHERE l.source = u.source AND l.shard = u.shard AND m.machine = $1
  AND (l.machine = $1 OR (l.machine IS NULL AND (l.done_at IS NULL OR l.done_at < m.joined_at)))
