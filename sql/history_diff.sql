-- What is another state as of the second moment than as of the first: only accounts that had a version between them.
SELECT k.id, CASE WHEN a.version IS NULL OR a.deleted THEN 'added' WHEN b.version IS NULL OR b.deleted THEN 'removed' ELSE 'changed' END AS change,
       a.version AS "versionBefore", b.version, a.account_type AS "accountTypeBefore", b.account_type AS "accountType",
       a.tokens AS "tokensBefore", b.tokens, CASE WHEN $3::boolean THEN acctflow.changes_line(c) ELSE c END AS changes
FROM (SELECT DISTINCT u.id FROM acctflow.history u
      WHERE u.ingested_at > least($1::timestamptz, $2::timestamptz) AND u.ingested_at <= greatest($1::timestamptz, $2::timestamptz)) k
LEFT JOIN LATERAL (SELECT u.* FROM acctflow.history u WHERE u.id = k.id AND u.ingested_at <= $1::timestamptz
                   ORDER BY u.version DESC LIMIT 1) a ON true
LEFT JOIN LATERAL (SELECT u.* FROM acctflow.history u WHERE u.id = k.id AND u.ingested_at <= $2::timestamptz
                   ORDER BY u.version DESC LIMIT 1) b ON true
CROSS JOIN LATERAL acctflow.changes(a.data::jsonb, b.data::jsonb, '/data') c
WHERE a.version IS DISTINCT FROM b.version AND NOT (coalesce(a.deleted, true) AND coalesce(b.deleted, true))
ORDER BY k.id
