INSERT INTO acctflow.account_updates
    (id, version, callback_time_ms, ingested_at, source_offset, applied, tokens, account_type, source, trace, data)
SELECT n.id, n.version, n.callback_time_ms, n.ingested_at, n.source_offset, n.applied, n.tokens, n.account_type, $1, n.trace,
       n.data::json
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[], $7::boolean[], $8::numeric[],
            $9::text[], $10::text[], $11::text[])
     AS n (id, version, callback_time_ms, ingested_at, source_offset, applied, tokens, account_type, trace, data)
