-- The contender of row "load": what one would do by hand. The file, as tab-separated text, is copied into a temporary table
-- and merged into the same relations by sets, in one transaction. It neither counts nor emits nor looks for conflicts.
BEGIN;
CREATE TEMPORARY TABLE incoming (
    ordinal bigint, id text COLLATE "C", version bigint, account_type text, tokens numeric(20, 0), callback_time_ms bigint,
    data json, reason text, raw text, raw_bytes bigint
) ON COMMIT DROP;
\copy incoming FROM pstdin
ANALYZE incoming (id, version);
-- The first of each (id, version); it was applied where nothing before it, nor what was there, is as new.
INSERT INTO acctflow.history
    (id, version, callback_time_ms, ingested_at, source_offset, applied, deleted, tokens, account_type, pipeline, data)
SELECT i.id, i.version, i.callback_time_ms, now(), i.ordinal, i.version > greatest(i.highest, a.version, -1),
       false, i.tokens, i.account_type, 1, i.data
FROM (SELECT *, row_number() OVER (PARTITION BY id, version ORDER BY ordinal) AS nth,
             max(version) OVER (PARTITION BY id ORDER BY ordinal ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
      FROM incoming WHERE reason IS NULL) i
LEFT JOIN acctflow.latest a ON a.id = i.id
WHERE i.nth = 1
ON CONFLICT (id, version) DO NOTHING;
INSERT INTO acctflow.latest AS a
    (id, version, callback_time_ms, ingested_at, source_offset, deleted, tokens, account_type, pipeline, data)
SELECT DISTINCT ON (id) id, version, callback_time_ms, now(), ordinal, false, tokens, account_type, 1, data::jsonb
FROM incoming
WHERE reason IS NULL
ORDER BY id, version DESC, ordinal
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, previous_version = a.version, callback_time_ms = excluded.callback_time_ms,
    ingested_at = excluded.ingested_at, source_offset = excluded.source_offset, tokens = excluded.tokens,
    account_type = excluded.account_type, pipeline = excluded.pipeline, data = excluded.data
WHERE a.version < excluded.version;
INSERT INTO acctflow.rejects (pipeline, source_offset, kind, reason, raw, raw_encoding, raw_bytes, rejected_at)
SELECT 1, ordinal, 'record', reason, raw, 'utf8', raw_bytes, now() FROM incoming WHERE reason IS NOT NULL;
COMMIT;
