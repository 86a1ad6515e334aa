-- The version guard. Each account's highest version of a batch tries to become its latest; all rows are locked, those
-- that won say what they won against. Arrays are unnested in the target list: in FROM each would be stored row by row
-- before the first is used.
INSERT INTO acctflow.latest AS a
    (id, version, callback_time_ms, ingested_at, source_offset, tokens, account_type, deleted, data, pipeline)
SELECT n.id, n.version, n.callback_time_ms, n.ingested_at, n.source_offset, n.tokens, n.account_type, n.deleted, n.data::jsonb, $1::integer
FROM (SELECT unnest($2::text[]) AS id, unnest($3::bigint[]) AS version, unnest($4::bigint[]) AS callback_time_ms,
             unnest($5::timestamptz[]) AS ingested_at, unnest($6::bigint[]) AS source_offset, unnest($7::numeric[]) AS tokens,
             unnest($8::text[]) AS account_type, unnest($9::boolean[]) AS deleted, unnest($10::text[]) AS data) n
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, previous_version = a.version, callback_time_ms = excluded.callback_time_ms,
    ingested_at = excluded.ingested_at, source_offset = excluded.source_offset, tokens = excluded.tokens,
    account_type = excluded.account_type, deleted = excluded.deleted, data = excluded.data, pipeline = excluded.pipeline
WHERE a.version < excluded.version
RETURNING a.id, a.previous_version
