-- Whether the account's callback is pending.
SELECT a.callback_time_ms IS NOT NULL AND o.id IS NULL
FROM acctflow.latest a
LEFT JOIN acctflow.outcomes o ON o.id = a.id AND o.version = a.version
WHERE a.id = $1
