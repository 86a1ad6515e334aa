INSERT INTO acctflow.account_updates
    (id, version, callback_time_ms, ingested_at, source_offset, applied, tokens, account_type, source, trace, data)
SELECT n.id, n.version, n.callback_time_ms, n.ingested_at, n.source_offset, n.applied, n.tokens, n.account_type, n.source,
       n.trace, n.data::json
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bigint[], $6::boolean[], $7::numeric[],
            $8::text[], $9::text[], $10::text[], $11::text[])
     AS n (id, version, callback_time_ms, ingested_at, source_offset, applied, tokens, account_type, source, trace, data)
