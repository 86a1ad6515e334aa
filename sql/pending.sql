-- What is pending of a source ($1; null: of all) when its events up to an offset ($2; null: all) have been told: of
-- each account the highest applied version up to there that neither fired nor was superseded by another source.
WITH heads AS (
    SELECT a.id, a.version FROM acctflow.accounts a
    WHERE ($1::text IS NULL OR a.source = $1) AND ($2::bigint IS NULL OR a.source_offset <= $2)
    UNION ALL
    SELECT a.id, p.version FROM acctflow.accounts a
    CROSS JOIN LATERAL (SELECT u.version FROM acctflow.account_updates u
                        WHERE u.id = a.id AND u.applied AND (u.source IS DISTINCT FROM $1 OR u.source_offset <= $2)
                        ORDER BY u.version DESC LIMIT 1) p
    WHERE a.source = $1 AND a.source_offset > $2
)
SELECT u.id, u.version, u.account_type, u.tokens, u.callback_time_ms, u.data, u.source, u.source_offset, u.trace,
       (extract(epoch FROM u.ingested_at) * 1000000)::bigint
FROM heads h
JOIN acctflow.account_updates u ON u.id = h.id AND u.version = h.version
WHERE ($1::text IS NULL OR u.source = $1)
  AND NOT EXISTS (SELECT FROM acctflow.callbacks_fired f WHERE f.id = u.id AND f.version = u.version)
ORDER BY u.ingested_at + u.callback_time_ms * interval '1 millisecond', u.source, u.source_offset
