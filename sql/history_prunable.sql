-- What may leave of these accounts ($1), the lowest versions first, $4 rows at most, and how many bytes it has without the
-- indexes. An account's base is the version that the state as of $2 has: all below it is the state at no moment from there on.
-- The base must have been acknowledged, and so must all that leaves: what was not is emitted again after a crash, with what
-- was current before it. The $3 highest versions stay. Versions that were applied leave from below only, none over one that
-- stays: a cancelled callback ended when the next version that was applied came, so that one must be there for as long as the
-- callback is. What came late never ended any.
SELECT u.id, u.version, u.pipeline, u.bytes
FROM (SELECT h.id, h.version, h.pipeline, h.bytes, h.past, max(h.version) FILTER (WHERE h.applied AND h.past) OVER account AS base,
             min(h.version) FILTER (WHERE h.applied AND NOT h.past) OVER account AS held,
             row_number() OVER (PARTITION BY h.id ORDER BY h.version DESC) AS place
      FROM (SELECT u.id, u.version, u.pipeline, u.applied,
                   72 + pg_column_size(u.id) + pg_column_size(u.data) + coalesce(pg_column_size(u.account_type), 0) AS bytes,
                   u.ingested_at <= $2::timestamptz
                   AND (u.pipeline IS NULL OR u.source_offset IS NULL OR u.source_offset <= coalesce(d.delivered_offset, -1)) AS past
            FROM acctflow.history u
            LEFT JOIN acctflow.deliveries d ON d.pipeline = u.pipeline
            WHERE u.id = ANY ($1::text[])) h
      WINDOW account AS (PARTITION BY h.id)) u
WHERE u.past AND u.version < u.base AND (u.held IS NULL OR u.version < u.held) AND u.place > $3::bigint
ORDER BY u.id, u.version
LIMIT $4::bigint
