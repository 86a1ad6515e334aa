SELECT id, version, deleted, account_type AS "accountType", tokens, callback_time_ms AS "callbackTimeMs", data,
       to_char(ingested_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "ingestedAt",
       to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "dueAt", state,
       to_char(settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "settledAt", superseded_by AS "supersededBy",
       CASE WHEN $2::boolean THEN acctflow.changes_line(changes) ELSE changes END AS changes, source, source_offset AS "offset"
FROM acctflow.account_history($1)
ORDER BY version
