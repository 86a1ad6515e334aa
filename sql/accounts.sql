SELECT a.id, a.account_type AS "accountType", a.tokens, a.version, a.callback_time_ms AS "callbackTimeMs", a.data,
       to_char(a.ingested_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "ingestedAt", a.source, a.source_offset AS "offset"
FROM acctflow.accounts a
WHERE $1::text IS NULL OR a.account_type = $1
ORDER BY a.id
