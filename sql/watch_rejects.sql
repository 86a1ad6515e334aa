-- The newest rejects of the pipelines that moved last: by the index, twenty rows a pipeline at most.
SELECT coalesce(jsonb_agg(jsonb_build_object('source', r.source, 'offset', r.source_offset, 'kind', r.kind, 'reason', r.reason,
                 'raw', r.raw, 'rawEncoding', r.raw_encoding,
                 'at', to_char(r.rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                 ORDER BY r.rejected_at DESC, r.source_offset DESC)::text, '[]') AS rejects
FROM (SELECT s.source, n.*
      FROM (SELECT pipeline, source FROM acctflow.pipelines WHERE rejected + conflict > 0 ORDER BY updated_at DESC LIMIT 20) s
      CROSS JOIN LATERAL (SELECT source_offset, kind, left(reason, 300) AS reason, left(raw, 200) AS raw, raw_encoding, rejected_at
                          FROM acctflow.rejects WHERE pipeline = s.pipeline ORDER BY source_offset DESC LIMIT 20) n
      ORDER BY n.rejected_at DESC, n.source_offset DESC LIMIT 20) r
