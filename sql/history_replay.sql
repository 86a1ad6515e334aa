-- The history in the order in which it came, of a source ($1), from and up to a moment ($2, $3), of accounts ($4), each null
-- where all is wanted; with what came late ($5), which was never the latest. An account's versions come in their order, also
-- where two pipelines gave them times that do not.
SELECT u.id, u.version, u.account_type, u.tokens, u.callback_time_ms, u.data, u.deleted, s.source, u.source_offset, u.trace,
       (extract(epoch FROM u.ingested_at) * 1000000)::bigint, (extract(epoch FROM u.due_at) * 1000000)::bigint,
       (extract(epoch FROM u.came_at) * 1000000)::bigint
FROM (SELECT u.*, CASE WHEN u.applied THEN max(u.ingested_at) FILTER (WHERE u.applied) OVER (PARTITION BY u.id ORDER BY u.version)
                       ELSE u.ingested_at END AS came_at
      FROM acctflow.history u
      WHERE ($4::text[] IS NULL OR u.id = ANY ($4::text[])) AND ($5::boolean OR u.applied)
        AND ($2::timestamptz IS NULL OR u.ingested_at >= $2::timestamptz)
        AND ($3::timestamptz IS NULL OR u.ingested_at <= $3::timestamptz)) u
LEFT JOIN acctflow.pipelines s ON s.pipeline = u.pipeline
WHERE $1::text IS NULL OR s.source = $1
ORDER BY u.came_at, u.pipeline, u.source_offset, u.version
