SELECT a.id, a.account_type AS "accountType", a.tokens, a.version, a.callback_time_ms AS "callbackTimeMs", u.data,
       to_char(a.ingested_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "ingestedAt", a.source, a.source_offset AS "offset"
FROM acctflow.accounts a
JOIN acctflow.account_updates u ON u.id = a.id AND u.version = a.version
WHERE $1::text IS NULL OR a.account_type = $1
ORDER BY a.id
