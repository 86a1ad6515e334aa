-- Ends the backends whose open transaction holds a row of this pipeline: a frozen writer or ack, or what a dead one left.
SELECT pg_terminate_backend(l.pid)
FROM (SELECT p.xmax FROM acctflow.pipelines p WHERE p.source = $1 AND p.shard = $2::integer
      UNION SELECT d.xmax FROM acctflow.deliveries d JOIN acctflow.pipelines p ON p.pipeline = d.pipeline
      WHERE p.source = $1 AND p.shard = $2::integer) h
JOIN pg_locks l ON l.locktype = 'transactionid' AND l.granted AND l.transactionid = h.xmax
WHERE l.pid <> pg_backend_pid()
