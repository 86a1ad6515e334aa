-- Open rejects, chosen as rejected.sql does, in the order in which they are read again.
SELECT r.reject, p.source, r.source_offset, r.raw, r.raw_encoding = 'base64', r.raw_bytes
FROM acctflow.rejects r
LEFT JOIN acctflow.pipelines p ON p.pipeline = r.pipeline
WHERE r.redriven_as IS NULL AND r.discarded_at IS NULL
  AND ($1::text IS NULL OR p.source = $1) AND ($2::text IS NULL OR r.kind = $2) AND ($3::text IS NULL OR r.reason LIKE $3)
  AND ($4::bigint[] IS NULL OR r.source_offset = ANY ($4))
ORDER BY r.pipeline, r.source_offset, r.rejected_at, r.reject
