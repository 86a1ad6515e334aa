SELECT id, change, version_before AS "versionBefore", version, account_type_before AS "accountTypeBefore", account_type AS "accountType",
       tokens_before AS "tokensBefore", tokens, CASE WHEN $3::boolean THEN acctflow.changes_line(changes) ELSE changes END AS changes
FROM acctflow.accounts_diff($1::timestamptz, $2::timestamptz)
ORDER BY id
