-- Rejects of a source ($1), of a kind ($2), whose reason is like $3, of these offsets ($4); null: of any. $5: open ones only.
SELECT source, source_offset AS "offset", kind, reason, raw, raw_encoding AS "rawEncoding", raw_bytes AS "rawBytes",
       to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "rejectedAt",
       became, redriven_as AS "redrivenAs", redriven_offset AS "redrivenOffset"
FROM acctflow.rejected_updates
WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR reason LIKE $3)
  AND ($4::bigint[] IS NULL OR source_offset = ANY ($4)) AND (NOT $5::boolean OR became IS NULL)
ORDER BY rejected_at, source, source_offset
