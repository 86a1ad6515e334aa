-- Ends the backends whose open transaction holds a row of this source: a frozen writer or settle, or what a dead one left.
SELECT pg_terminate_backend(l.pid)
FROM (SELECT xmax FROM acctflow.source_lanes WHERE name = $1
      UNION SELECT xmax FROM acctflow.source_deliveries WHERE name = $1) h
JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = h.xmax
WHERE l.pid <> pg_backend_pid()
