-- `acctflow verify`: whether the relations agree with each other and, where INPUT is given, with it. It shares no code with
-- writer: this is the contract once more, as queries over the tables. psql runs it, in one transaction with one
-- snapshot. Each query emits a line per difference; the last line has the totals. Variables: given (whether there is an
-- INPUT), source (its name), json (whether lines are JSON), ACCTFLOW_READ of the environment (a script for bash that reads it:
-- each line behind its shard and \x02).
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL timezone = 'UTC';
SET LOCAL jit = off;
SET LOCAL work_mem = '64MB';

-- A content as text, the same for the same content; a long one is cut, with its hash.
\set content 'concat_ws('' '', coalesce(to_json(account_type)::text, ''null''), coalesce(tokens::text, ''null''), coalesce(callback_time_ms::text, ''null''), CASE WHEN deleted THEN ''deleted'' END, data)'
\set cut 'CASE WHEN octet_length(t) > 200 THEN left(t, 120) || ''... md5 '' || md5(t) ELSE t END'
-- :differ QUERY :end emits the rows (pipeline, source_offset, id, version, expected, found) of a query. Nothing in them is a
-- control character, so that none needs quotes.
\set differ 'COPY (SELECT :line FROM (SELECT p.source, p.shard || ''/'' || i.shards AS shard, d.source_offset AS "offset", d.id, d.version, d.expected, d.found FROM ('
\set end ') d (pipeline, source_offset, id, version, expected, found) LEFT JOIN acctflow.pipelines p ON p.pipeline = d.pipeline LEFT JOIN acctflow.inputs i ON i.name = p.source) r ORDER BY source, shard, "offset", id, version, expected) TO STDOUT (FORMAT csv, DELIMITER e''\\x02'', QUOTE e''\\x01'');'
\set line 'concat(concat_ws('', '', ''source '' || to_json(source), ''shard '' || shard, ''offset '' || "offset", ''id '' || to_json(id), ''version '' || version), '': expected '', expected, '', found '', found)'
\if :json
\set line 'json_strip_nulls(row_to_json(r))'
\endif

\if :given
\ir input.sql
\if :ended
\else
\quit
\endif
\ir verdicts.sql
\else
SET TRANSACTION READ ONLY;
\endif

-- The latest row of each account is its highest version.
:differ
SELECT coalesce(l.pipeline, h.pipeline), coalesce(h.source_offset, l.source_offset), coalesce(m.id, l.id), coalesce(m.version, l.version),
       CASE WHEN m.id IS NULL THEN 'no latest row, as the history has nothing of the account'
            ELSE concat('latest row version ', h.version, ' ', h.row) END,
       CASE WHEN l.id IS NULL THEN 'none' ELSE concat('version ', l.version, ' ', l.row) END
FROM (SELECT id, max(version) AS version FROM acctflow.history GROUP BY id) m
JOIN (SELECT id, version, pipeline, source_offset, left(concat_ws(' ', :content, 'ingested', ingested_at, 'offset', source_offset), 400) AS row,
             (ingested_at, source_offset, pipeline, callback_time_ms, deleted, account_type, tokens, data) AS is
      FROM (SELECT id, version, pipeline, source_offset, ingested_at, callback_time_ms, deleted, account_type, tokens, data::jsonb FROM acctflow.history) h) h
  ON h.id = m.id AND h.version = m.version
FULL JOIN (SELECT id, version, pipeline, source_offset, left(concat_ws(' ', :content, 'ingested', ingested_at, 'offset', source_offset), 400) AS row,
                  (ingested_at, source_offset, pipeline, callback_time_ms, deleted, account_type, tokens, data) AS is
           FROM acctflow.latest) l ON l.id = m.id
WHERE l.id IS NULL OR m.id IS NULL OR l.version <> h.version OR l.is IS DISTINCT FROM h.is
:end

-- A version is applied where it was higher than all before it. Along one pipeline the offsets say what was before; where
-- others wrote the account too, or versions were pruned, only that the highest is applied, and what an earlier record of its own pipeline rules out.
:differ
SELECT pipeline, source_offset, id, version, CASE WHEN applied THEN 'stale' ELSE 'applied' END, CASE WHEN applied THEN 'applied' ELSE 'stale' END
FROM (SELECT pipeline, source_offset, id, version, applied, max(version) OVER (PARTITION BY id) AS highest,
             max(version) OVER (PARTITION BY id, pipeline ORDER BY source_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
             count(source_offset) OVER (PARTITION BY id) = count(*) OVER (PARTITION BY id)
             AND min(pipeline) OVER (PARTITION BY id) = max(pipeline) OVER (PARTITION BY id)
             AND NOT EXISTS (SELECT FROM acctflow.pipelines WHERE pruned + pruned_stale > 0) AS alone
      FROM acctflow.history) h
WHERE applied <> CASE WHEN before > version AND source_offset IS NOT NULL THEN false
                      WHEN alone OR version = highest THEN true
                      ELSE applied END
:end

-- Along a pipeline each offset is there once, times never go back, and nothing is beyond what is committed. A source
-- that is read again by hand rejects again, and its committed offset goes back meanwhile.
:differ
SELECT r.pipeline, r.source_offset, r.id, r.version, d.expected, d.found
FROM (SELECT *, lag(source_offset) OVER w AS offset_before, lag(at) OVER w AS before
      FROM (SELECT pipeline, source_offset, ingested_at AS at, id, version FROM acctflow.history
            UNION ALL
            SELECT pipeline, source_offset, min(rejected_at), NULL, NULL FROM acctflow.rejects
            GROUP BY pipeline, source_offset, kind, reason) r
      WHERE source_offset IS NOT NULL
      WINDOW w AS (PARTITION BY pipeline ORDER BY source_offset, at)) r
JOIN acctflow.pipelines p ON p.pipeline = r.pipeline
CROSS JOIN LATERAL (
    SELECT 'one record at this offset', 'another' WHERE offset_before = source_offset
    UNION ALL
    SELECT 'ingested at ' || before || ' or later', at::text WHERE at < before
    UNION ALL
    SELECT 'ingested at ' || p.ingested_at || ', the last of its pipeline, or earlier', at::text WHERE at > p.ingested_at
    UNION ALL
    SELECT 'nothing beyond the committed offset ' || coalesce(p.committed_offset::text, 'null'), 'a record'
    WHERE source_offset > coalesce(p.committed_offset, -1)
      AND (p.complete OR p.indexed + p.stale + p.duplicate + p.conflict + p.skipped + p.rejected <= coalesce(p.committed_offset, -1) + 1)
) d (expected, found)
:end

-- A callback has an outcome only where its version was applied, not before it was due; under the virtual clock, where it
-- was not superseded before. On the real clock a callback may fire while the newer version is being committed.
:differ
SELECT pipeline, source_offset, id, version, d.expected, o.outcome
FROM (SELECT o.id, o.version, o.settled_at, CASE WHEN o.failed THEN 'failed' ELSE 'fired' END || ' at ' || o.settled_at AS outcome,
             h.version AS known, h.pipeline, h.source_offset, h.applied, h.callback_time_ms, i.clock = 'virtual' AS virtual,
             coalesce(h.due_at, h.ingested_at + h.callback_time_ms * interval '1 millisecond') AS due,
             h.next_at, h.next_pipeline
      FROM acctflow.outcomes o
      LEFT JOIN (SELECT *, lead(ingested_at) OVER w AS next_at, lead(pipeline) OVER w AS next_pipeline
                 FROM (SELECT id, version, pipeline, source_offset, applied, callback_time_ms, due_at, ingested_at FROM acctflow.history) h
                 WINDOW w AS (PARTITION BY id, applied ORDER BY version)) h ON h.id = o.id AND h.version = o.version
      LEFT JOIN acctflow.pipelines p ON p.pipeline = h.pipeline
      LEFT JOIN acctflow.inputs i ON i.name = p.source) o
CROSS JOIN LATERAL (
    SELECT 'no outcome of a version that the history does not have' WHERE known IS NULL
    UNION ALL
    SELECT 'no outcome of a stale version' WHERE NOT applied
    UNION ALL
    SELECT 'no outcome of a version without a callback' WHERE applied AND callback_time_ms IS NULL
    UNION ALL
    SELECT 'no outcome before it was due at ' || due WHERE settled_at < due
    UNION ALL
    SELECT 'cancelled by the version of ' || next_at || ', before it was due at ' || due
    WHERE applied AND virtual AND next_pipeline = pipeline AND due > next_at
) d (expected)
:end

-- Only a time that had to be raised has a due time of its own.
:differ
SELECT pipeline, source_offset, id, version, 'due at the latest ' || coalesce((ingested_at + callback_time_ms * interval '1 millisecond')::text, 'never'), due_at::text
FROM acctflow.history
WHERE due_at IS NOT NULL AND (due_at <= ingested_at + callback_time_ms * interval '1 millisecond') IS NOT TRUE
:end

-- An account has one shard of a source.
:differ
SELECT min(h.pipeline), NULL::bigint, h.id, NULL::bigint, 'the account in one shard', count(DISTINCT h.pipeline) || ' have it'
FROM acctflow.history h
JOIN acctflow.pipelines p ON p.pipeline = h.pipeline
JOIN acctflow.inputs i ON i.name = p.source AND i.shards > 1
GROUP BY h.id, p.source
HAVING min(h.pipeline) <> max(h.pipeline)
:end

-- The rows of a pipeline are there, and its delivery is not ahead of it.
:differ
SELECT coalesce(p.pipeline, d.pipeline), NULL::bigint, NULL::text, NULL::bigint, w.expected, w.found
FROM acctflow.pipelines p
FULL JOIN acctflow.deliveries d ON d.pipeline = p.pipeline
LEFT JOIN acctflow.inputs i ON i.name = p.source
CROSS JOIN LATERAL (
    SELECT 'a row in pipelines, deliveries and inputs', concat_ws(', ', CASE WHEN p.pipeline IS NULL THEN 'none in pipelines for ' || d.pipeline END,
           CASE WHEN d.pipeline IS NULL THEN 'none in deliveries' END, CASE WHEN i.name IS NULL AND p.source IS NOT NULL THEN 'none in inputs for ' || to_json(p.source) END)
    WHERE p.pipeline IS NULL OR d.pipeline IS NULL OR i.name IS NULL
    UNION ALL
    SELECT 'a shard below ' || i.shards, p.shard::text WHERE p.shard >= i.shards OR p.shard < 0
    UNION ALL
    SELECT 'acknowledged at most ' || coalesce(p.committed_offset::text, 'null') || ', which is committed', d.delivered_offset::text
    WHERE d.delivered_offset > coalesce(p.committed_offset, -1)
) w (expected, found)
:end

-- A pipeline's counts are its rows, but for those that were pruned.
:differ
SELECT coalesce(p.pipeline, r.pipeline), NULL::bigint, NULL::text, NULL::bigint, c.name || ' counted ' || c.rows || ', as many as there are rows',
       coalesce(c.counted::text, 'no pipeline ' || r.pipeline)
FROM acctflow.pipelines p
FULL JOIN (SELECT pipeline, count(*) FILTER (WHERE kind = 'applied') AS indexed, count(*) FILTER (WHERE kind = 'stale') AS stale,
                  count(*) FILTER (WHERE kind = 'applied' AND callback_time_ms IS NULL) AS without_callback,
                  count(*) FILTER (WHERE kind = 'conflict') AS conflict, count(*) FILTER (WHERE kind IN ('record', 'refused')) AS rejected
           FROM (SELECT pipeline, CASE WHEN applied THEN 'applied' ELSE 'stale' END AS kind, callback_time_ms FROM acctflow.history
                 UNION ALL
                 SELECT pipeline, kind, NULL FROM acctflow.rejects) r
           WHERE pipeline IS NOT NULL GROUP BY pipeline) r ON r.pipeline = p.pipeline
CROSS JOIN LATERAL (VALUES ('indexed', p.indexed - p.pruned, r.indexed), ('stale', p.stale - p.pruned_stale, r.stale), ('withoutCallback', p.without_callback, r.without_callback),
                           ('conflict', p.conflict, r.conflict), ('rejected', p.rejected, r.rejected)) c (name, counted, rows)
WHERE c.counted IS DISTINCT FROM coalesce(c.rows, 0) AND (p.pipeline IS NOT NULL OR c.rows > 0)
:end

-- The totals: accounted, of how many, how many of the input were not compared, and whether its source is complete.
\if :given
SELECT count(*) FILTER (WHERE expected IS NULL) AS accounted, count(*) AS total FROM verdict WHERE verdict IS NOT NULL \gset
\else
SELECT sum(least(p.read, p.elsewhere + coalesce(r.rows, 0))) AS accounted, coalesce(sum(p.read), 0) AS total, 0 AS beyond, true AS complete
FROM (SELECT pipeline, indexed + stale + duplicate + conflict + skipped + rejected AS read, duplicate + skipped + pruned + pruned_stale AS elsewhere FROM acctflow.pipelines
      UNION ALL
      SELECT NULL, count(*), count(*) FROM acctflow.history WHERE pipeline IS NULL) p
LEFT JOIN (SELECT pipeline, count(*) AS rows FROM (SELECT pipeline FROM acctflow.history UNION ALL SELECT pipeline FROM acctflow.rejects) r
           GROUP BY pipeline) r ON r.pipeline = p.pipeline \gset
\endif
\echo accounted :accounted :total :beyond :complete
COMMIT;
