-- With RETURNING, or Citus would send the rows by COPY, and say XX000 of whatever is wrong with one.
INSERT INTO acctflow.history
    (id, version, callback_time_ms, ingested_at, source_offset, applied, deleted, tokens, account_type, trace, data, due_at, pipeline)
SELECT n.id, n.version, n.callback_time_ms, n.ingested_at, n.source_offset, n.applied, n.deleted, n.tokens, n.account_type,
       n.trace, n.data::json, n.due_at, $1::integer
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[], $7::boolean[], $8::boolean[], $9::numeric[],
            $10::text[], $11::text[], $12::text[], $13::timestamptz[])
     AS n (id, version, callback_time_ms, ingested_at, source_offset, applied, deleted, tokens, account_type, trace, data, due_at)
RETURNING NULL
