-- The relations as `test/model --relations` prints them: a row a line, tab-separated, text as JSON, what is null empty.
-- To be run by: psql -Xq -f test/relations.sql | LC_ALL=C sort
-- By COPY, because psql's own output leaves out characters that it holds for unprintable; by CSV with a quote that never
-- comes, because COPY's text format would escape.
\set utc 'AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS.US"Z"'''

COPY (SELECT 'account', to_json(a.id), to_json(a.account_type), a.tokens, a.version, a.callback_time_ms,
             to_char(a.ingested_at :utc), a.data = u.data::jsonb
      FROM acctflow.accounts a
      LEFT JOIN acctflow.account_updates u ON u.id = a.id AND u.version = a.version
) TO STDOUT (FORMAT csv, DELIMITER E'\t', QUOTE E'\x01');

COPY (SELECT 'update', to_json(id), version, to_json(account_type), tokens, callback_time_ms, to_char(ingested_at :utc), applied,
             deleted, to_json(source), source_offset, data
      FROM acctflow.account_updates
) TO STDOUT (FORMAT csv, DELIMITER E'\t', QUOTE E'\x01');

COPY (SELECT 'callback', to_json(id), version, to_char(due_at :utc), state, to_char(settled_at :utc)
      FROM acctflow.callbacks
) TO STDOUT (FORMAT csv, DELIMITER E'\t', QUOTE E'\x01');

COPY (SELECT 'reject', to_json(source), source_offset, kind, to_json(reason), to_json(raw), raw_bytes, to_char(rejected_at :utc)
      FROM acctflow.rejected_updates
) TO STDOUT (FORMAT csv, DELIMITER E'\t', QUOTE E'\x01');

COPY (SELECT 'shard', to_json(name), to_json(shard || '/' || shards), committed_offset, delivered_offset, read, indexed, stale,
             duplicate, conflict, skipped, rejected, without_callback, complete
      FROM acctflow.source_shards
) TO STDOUT (FORMAT csv, DELIMITER E'\t', QUOTE E'\x01');

COPY (SELECT 'source', to_json(name), committed_offset, delivered_offset, read, indexed, stale, duplicate, conflict, skipped,
             rejected, without_callback, complete
      FROM acctflow.sources
) TO STDOUT (FORMAT csv, DELIMITER E'\t', QUOTE E'\x01');
