-- Whoever changes machines or leases has all machines locked, so that one decides at a time.
SELECT machine FROM acctflow.machines ORDER BY machine FOR UPDATE
