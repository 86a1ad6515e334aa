-- The version guard. Each account's highest version of a batch tries to become its latest; all rows are locked, those
-- that won tell what they won against.
INSERT INTO acctflow.accounts AS a
    (id, version, callback_time_ms, ingested_at, source_offset, tokens, account_type, source, data)
SELECT n.id, n.version, n.callback_time_ms, n.ingested_at, n.source_offset, n.tokens, n.account_type, $1, n.data::jsonb
FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[], $7::numeric[], $8::text[], $9::text[])
     AS n (id, version, callback_time_ms, ingested_at, source_offset, tokens, account_type, data)
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, previous_version = a.version, callback_time_ms = excluded.callback_time_ms,
    ingested_at = excluded.ingested_at, source_offset = excluded.source_offset, tokens = excluded.tokens,
    account_type = excluded.account_type, source = excluded.source, data = excluded.data
WHERE a.version < excluded.version
RETURNING a.id, a.previous_version
