-- Those of machines that are gone.
UPDATE acctflow.leases l
SET machine = NULL, wanted_by = NULL, changed_at = now(), lag = NULL
WHERE l.machine IS NOT NULL AND NOT EXISTS (SELECT FROM acctflow.machines m WHERE m.machine = l.machine)
