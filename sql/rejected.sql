SELECT source, source_offset AS "offset", kind, reason, raw, raw_encoding AS "rawEncoding", raw_bytes AS "rawBytes",
       to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "rejectedAt"
FROM acctflow.rejected_updates
WHERE $1::text IS NULL OR source = $1
ORDER BY rejected_at, source, source_offset
