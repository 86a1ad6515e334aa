-- What is pending of a pipeline ($1; null: of all) when its events up to an offset ($2; null: all) have been emitted: of
-- each account the highest applied version up to there that has a callback, no recorded outcome, and was not superseded by
-- another pipeline.
WITH heads AS (
    SELECT a.id, a.version FROM acctflow.latest a
    WHERE ($1::integer IS NULL OR a.pipeline = $1::integer) AND ($2::bigint IS NULL OR a.source_offset <= $2::bigint)
      AND a.callback_time_ms IS NOT NULL
    UNION ALL
    SELECT a.id, p.version FROM acctflow.latest a
    CROSS JOIN LATERAL (SELECT u.version FROM acctflow.history u
                        WHERE u.id = a.id AND u.applied
                          AND (u.pipeline IS DISTINCT FROM $1::integer OR u.source_offset <= $2::bigint)
                        ORDER BY u.version DESC LIMIT 1) p
    WHERE a.pipeline = $1::integer AND a.source_offset > $2::bigint
)
SELECT u.id, u.version, u.account_type, u.tokens, u.callback_time_ms, u.data, u.deleted, s.source, u.source_offset, u.trace,
       (extract(epoch FROM u.ingested_at) * 1000000)::bigint, (extract(epoch FROM u.due_at) * 1000000)::bigint
FROM heads h
JOIN acctflow.history u ON u.id = h.id AND u.version = h.version
LEFT JOIN acctflow.pipelines s ON s.pipeline = u.pipeline
WHERE ($1::integer IS NULL OR u.pipeline = $1::integer) AND u.callback_time_ms IS NOT NULL
  AND NOT EXISTS (SELECT FROM acctflow.outcomes o WHERE o.id = u.id AND o.version = u.version)
ORDER BY coalesce(u.due_at, u.ingested_at + u.callback_time_ms * interval '1 millisecond'), u.pipeline, u.source_offset
