-- Rejects by reason, whatever numbers are in it, the most frequent first, each with its newest example, among the newest of
-- the sources that moved last: by the index, a thousand rows per source at most.
SELECT coalesce(jsonb_agg(jsonb_build_object('reason', r.reason, 'count', r.n, 'source', r.source, 'offset', r.source_offset,
                 'raw', r.raw, 'rawEncoding', r.raw_encoding,
                 'at', to_char(r.rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                 ORDER BY r.n DESC)::text, '[]') AS rejects
FROM (SELECT DISTINCT ON (n.kind) n.*, count(*) OVER (PARTITION BY n.kind) AS n
      FROM (SELECT name FROM acctflow.sources WHERE rejected + conflict > 0 ORDER BY updated_at DESC LIMIT 20) s
      CROSS JOIN LATERAL (SELECT source, source_offset, left(reason, 300) AS reason,
                                 regexp_replace(left(reason, 100), '[0-9]+', 'N', 'g') AS kind, left(raw, 200) AS raw, raw_encoding, rejected_at
                          FROM acctflow.rejected_updates WHERE source = s.name ORDER BY source_offset DESC LIMIT 1000) n
      ORDER BY n.kind, n.rejected_at DESC, n.source_offset DESC LIMIT 50) r
