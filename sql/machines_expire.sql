-- Expels those whose time is over.
DELETE FROM acctflow.machines WHERE until < now()
