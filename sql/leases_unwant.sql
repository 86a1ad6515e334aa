-- Nobody hands a pipeline over to a machine that is gone.
UPDATE acctflow.leases l
SET wanted_by = NULL
WHERE l.wanted_by IS NOT NULL AND NOT EXISTS (SELECT FROM acctflow.machines m WHERE m.machine = l.wanted_by)
