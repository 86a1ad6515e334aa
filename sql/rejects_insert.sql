INSERT INTO acctflow.rejects (pipeline, source_offset, kind, reason, raw, raw_encoding, raw_bytes, rejected_at)
SELECT $1::integer, n.source_offset, n.kind, n.reason, n.raw, n.raw_encoding, n.raw_bytes, n.rejected_at
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[])
     AS n (source_offset, kind, reason, raw, raw_encoding, raw_bytes, rejected_at)
