INSERT INTO acctflow.rejected_updates (source, source_offset, reason, raw, raw_encoding, raw_bytes, rejected_at)
SELECT $1, n.source_offset, n.reason, n.raw, n.raw_encoding, n.raw_bytes, n.rejected_at
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])
     AS n (source_offset, reason, raw, raw_encoding, raw_bytes, rejected_at)
