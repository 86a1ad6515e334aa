-- One account as of a moment (null: now).
SELECT a.id, a.account_type AS "accountType", a.tokens, a.version, a.callback_time_ms AS "callbackTimeMs", a.data,
       to_char(a.ingested_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "ingestedAt", a.source, a.source_offset AS "offset"
FROM acctflow.accounts_at(coalesce($2::timestamptz, '294276-12-31Z'), $1) a
