DELETE FROM acctflow.machines WHERE machine = $1
