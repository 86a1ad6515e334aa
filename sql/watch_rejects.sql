-- Rejects by reason, whatever numbers are in it, the most frequent first, each with its newest example, among the newest of
-- the pipelines that moved last: by the index, a thousand rows per pipeline at most.
SELECT coalesce(jsonb_agg(jsonb_build_object('kind', r.kind, 'reason', r.reason, 'count', r.n, 'source', r.source, 'offset', r.source_offset,
                 'raw', r.raw, 'rawEncoding', r.raw_encoding,
                 'at', to_char(r.rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                 ORDER BY r.n DESC)::text, '[]') AS rejects
FROM (SELECT DISTINCT ON (n.form) s.source, n.*, count(*) OVER (PARTITION BY n.form) AS n
      FROM (SELECT pipeline, source FROM acctflow.pipelines WHERE rejected + conflict > 0 ORDER BY updated_at DESC LIMIT 20) s
      CROSS JOIN LATERAL (SELECT source_offset, kind, left(reason, 300) AS reason,
                                 regexp_replace(left(reason, 100), '[0-9]+', 'N', 'g') AS form, left(raw, 200) AS raw, raw_encoding, rejected_at
                          FROM acctflow.rejects WHERE pipeline = s.pipeline ORDER BY source_offset DESC LIMIT 1000) n
      ORDER BY n.form, n.rejected_at DESC, n.source_offset DESC LIMIT 50) r
