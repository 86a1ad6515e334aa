-- The same rejects by reason, in which numbers and what is quoted stand as "…": these differ from record to record.
SELECT r.kind, regexp_replace(regexp_replace(r.reason, '"[^"]*"', '"…"', 'g'), '[0-9]+', '…', 'g') AS reason, count(*) AS count,
       count(*) FILTER (WHERE r.redriven_as IS NULL AND r.discarded_at IS NULL) AS open,
       to_char(min(r.rejected_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS first,
       to_char(max(r.rejected_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS last,
       (array_agg(p.source ORDER BY r.reject DESC))[1] AS source, (array_agg(r.source_offset ORDER BY r.reject DESC))[1] AS "offset"
FROM acctflow.rejects r
LEFT JOIN acctflow.pipelines p ON p.pipeline = r.pipeline
WHERE ($1::text IS NULL OR p.source = $1) AND ($2::text IS NULL OR r.kind = $2) AND ($3::text IS NULL OR r.reason LIKE $3)
  AND ($4::bigint[] IS NULL OR r.source_offset = ANY ($4))
  AND (NOT $5::boolean OR r.redriven_as IS NULL AND r.discarded_at IS NULL)
GROUP BY 1, 2
ORDER BY count DESC, 1, 2
