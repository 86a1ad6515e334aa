-- Prolongs the leases of a machine, or lets it join. $2: for how long, in microseconds.
INSERT INTO acctflow.machines (machine, until, joined_at)
VALUES ($1, now() + $2::bigint * interval '1 microsecond', now())
ON CONFLICT (machine) DO UPDATE SET until = excluded.until
