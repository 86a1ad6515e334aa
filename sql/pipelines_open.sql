-- How many callbacks of a pipeline are pending.
SELECT count(*)
FROM acctflow.latest a
WHERE a.pipeline = $1::integer AND a.callback_time_ms IS NOT NULL
  AND NOT EXISTS (SELECT FROM acctflow.outcomes o WHERE o.id = a.id AND o.version = a.version)
