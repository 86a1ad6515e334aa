-- The same as of a moment.
SELECT account_type AS "accountType", tokens, version, id, data
FROM acctflow.richest_at($3::timestamptz, $2::integer, $1::text)
ORDER BY account_type, place, id
