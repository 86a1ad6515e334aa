-- Each record of the input, what it should have become, and whether it did. Those that Postgres refused are known by their
-- rejects only, and took no part.
INSERT INTO record
SELECT shard, pipeline, "offset", coalesce(event, 'update'), id, version, "arriveMs", :cut
FROM (SELECT p.shard, p.pipeline, (m).event, (m)."offset", (m).id, (m).version, (m)."arriveMs",
             CASE WHEN (m).event IS NULL THEN :content ELSE concat_ws(' ', to_json((m).reason), (m)."rawBytes", (m)."rawEncoding", to_json((m).raw)) END AS t
      FROM (SELECT shard, json, json_populate_record(NULL::pg_temp.member, json) AS m FROM line OFFSET 0) l
      JOIN acctflow.pipelines p ON p.source = :'source' AND p.shard = l.shard
      CROSS JOIN LATERAL (SELECT (m)."accountType" AS account_type, (m).tokens, (m).deleted,
                                 CASE WHEN (m).deleted IS NOT TRUE THEN (m)."callbackTimeMs" END AS callback_time_ms,
                                 -- A string loses its spelling in a record.
                                 CASE json_typeof((m).data) WHEN 'string' THEN json -> 'data' ELSE coalesce((m).data, 'null') END AS data) c
      WHERE ((m).event IS NULL OR (m).event IN ('rejected', 'ignored')) AND (m)."offset" <= p.committed_offset) r;
SELECT (SELECT count(*) FROM line) - 2 * (SELECT shards FROM acctflow.inputs WHERE name = :'source') - (SELECT count(*) FROM record) AS beyond,
       (SELECT bool_and(complete) FROM acctflow.pipelines WHERE source = :'source') AS complete \gset
UPDATE record r SET kind = 'refused' FROM acctflow.rejects x
WHERE x.kind = 'refused' AND x.pipeline = r.pipeline AND x.source_offset = r.source_offset AND r.kind = 'update';
ANALYZE record;

-- Updates. A version is indexed where it is higher than all before it, else stale; the same version again is a duplicate or,
-- with another content, a conflict. Where another source wrote the account too, its rows count as an explanation: a version
-- that is its row was known already, and one that its higher version precedes may be stale.
INSERT INTO verdict
SELECT coalesce(pipeline, is_pipeline), coalesce(source_offset, is_offset), id, version, verdict, expected, CASE WHEN is_pruned THEN 'pruned' WHEN expected IS NOT NULL THEN found END
FROM (SELECT *, CASE WHEN verdict IS NULL THEN 'no version that the input does not have'
                     WHEN verdict NOT IN ('indexed', 'stale') THEN NULL
                     WHEN is_pruned OR is_forgotten THEN NULL
                     WHEN (verdict = 'indexed', content, pipeline, source_offset) IS DISTINCT FROM (applied, is_content, is_pipeline, is_offset)
                     THEN concat_ws(' ', verdict, content, 'shard', shard, 'offset', source_offset)
                     WHEN clock = 'virtual' AND ingested_at <> greatest(started_at + arrive_ms * interval '1 millisecond', first_at)
                     THEN 'ingested at ' || greatest(started_at + arrive_ms * interval '1 millisecond', first_at)
                END AS expected,
             CASE WHEN is_pipeline IS NULL THEN 'no row'
                  ELSE concat_ws(' ', CASE WHEN applied THEN 'indexed' ELSE 'stale' END, is_content, 'shard', is_shard, 'offset', is_offset, 'ingested at', ingested_at)
             END AS found
      FROM (SELECT r.pipeline, r.shard, r.source_offset, coalesce(r.id, h.id) AS id, coalesce(r.version, h.version) AS version, r.content, r.arrive_ms,
                   h.pipeline AS is_pipeline, h.shard AS is_shard, h.source_offset AS is_offset, h.applied, h.content AS is_content, h.ingested_at,
                   CASE WHEN r.id IS NULL THEN NULL
                        WHEN NOT h.ours OR r.place > 1 THEN CASE WHEN r.content = CASE WHEN h.ours THEN r.first ELSE coalesce(h.content, r.first) END
                                                                 THEN 'duplicate' ELSE 'conflict' END
                        WHEN r.before > r.version THEN 'stale'
                        WHEN NOT h.applied AND EXISTS (SELECT FROM acctflow.history o LEFT JOIN acctflow.pipelines p ON p.pipeline = o.pipeline
                                                       WHERE o.id = r.id AND o.version > r.version AND p.source IS DISTINCT FROM :'source') THEN 'stale'
                        ELSE 'indexed' END AS verdict,
                   -- What prune or forget took: a higher version is there; the forgotten account's last one is without contents.
                   h.id IS NULL AND r.place = 1 AND q.pruned > 0
                   AND EXISTS (SELECT FROM acctflow.history o WHERE o.id = r.id AND o.version > r.version) AS is_pruned,
                   h.ours AND q.pruned > 0 AND h.content = 'null null null deleted null' AS is_forgotten
            FROM (SELECT *, first_value(content) OVER same AS first, row_number() OVER same AS place,
                         max(version) OVER (PARTITION BY id ORDER BY source_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                  FROM record WHERE kind = 'update' WINDOW same AS (PARTITION BY id, version ORDER BY source_offset)) r
            FULL JOIN (SELECT id, version, pipeline, shard, source_offset, applied, ingested_at, source IS NOT DISTINCT FROM :'source' AS ours, :cut AS content
                       FROM (SELECT h.id, h.version, h.pipeline, p.shard, p.source, h.source_offset, h.applied, h.ingested_at, :content AS t
                             FROM acctflow.history h LEFT JOIN acctflow.pipelines p ON p.pipeline = h.pipeline) h) h
                   ON h.id = r.id AND h.version = r.version
            CROSS JOIN (SELECT sum(pruned + pruned_stale) AS pruned FROM acctflow.pipelines WHERE source = :'source') q
            WHERE r.id IS NOT NULL OR h.ours) u
      CROSS JOIN (SELECT i.clock, i.started_at, min(h.ingested_at) AS first_at FROM acctflow.inputs i
                  LEFT JOIN acctflow.pipelines p ON p.source = i.name LEFT JOIN acctflow.history h ON h.pipeline = p.pipeline
                  WHERE i.name = :'source' GROUP BY i.name) i) u;

-- Records that were passed over, refused or rejected, and the rejects of conflicts.
INSERT INTO verdict
SELECT r.pipeline, r.source_offset, r.id, r.version, CASE r.kind WHEN 'ignored' THEN 'skipped' ELSE 'rejected' END,
       CASE WHEN r.kind = 'rejected' AND x.content IS DISTINCT FROM r.content THEN 'rejected ' || r.content END, coalesce(x.content, 'no reject')
FROM record r
LEFT JOIN (SELECT DISTINCT ON (pipeline, source_offset) pipeline, source_offset, :cut AS content
           FROM (SELECT pipeline, source_offset, rejected_at, concat_ws(' ', to_json(reason), raw_bytes, raw_encoding, to_json(raw)) AS t
                 FROM acctflow.rejects WHERE kind = 'record') x
           ORDER BY pipeline, source_offset, rejected_at DESC) x ON x.pipeline = r.pipeline AND x.source_offset = r.source_offset
WHERE r.kind <> 'update';
UPDATE verdict v SET expected = 'a reject of kind conflict', found = 'none'
WHERE v.verdict = 'conflict'
  AND NOT EXISTS (SELECT FROM acctflow.rejects x WHERE x.pipeline = v.pipeline AND x.source_offset = v.source_offset AND x.kind = 'conflict');
INSERT INTO verdict
SELECT x.pipeline, x.source_offset, NULL, NULL, NULL, 'no reject that the input does not explain', concat_ws(' ', x.kind, to_json(left(x.reason, 200)))
FROM acctflow.rejects x
JOIN acctflow.pipelines p ON p.pipeline = x.pipeline AND p.source = :'source'
LEFT JOIN verdict v ON v.pipeline = x.pipeline AND v.source_offset = x.source_offset
                   AND v.verdict = CASE x.kind WHEN 'conflict' THEN 'conflict' ELSE 'rejected' END
WHERE v.pipeline IS NULL;

:differ
SELECT pipeline, source_offset, id, version, expected, found FROM verdict WHERE expected IS NOT NULL
:end

-- The counts, and how far the source is said to be read.
:differ
SELECT p.pipeline, NULL::bigint, NULL::text, NULL::bigint, c.name || ' counted ' || c.records || ', as many as the input has', c.counted::text
FROM acctflow.pipelines p
LEFT JOIN (SELECT pipeline, count(*) FILTER (WHERE verdict = 'indexed') AS indexed, count(*) FILTER (WHERE verdict = 'stale') AS stale,
                  count(*) FILTER (WHERE verdict = 'duplicate') AS duplicate, count(*) FILTER (WHERE verdict = 'conflict') AS conflict,
                  count(*) FILTER (WHERE verdict = 'skipped') AS skipped, count(*) FILTER (WHERE found = 'pruned' AND expected IS NULL) AS pruned, count(*) FILTER (WHERE verdict = 'rejected') AS rejected
           FROM verdict GROUP BY pipeline) v ON v.pipeline = p.pipeline
CROSS JOIN LATERAL (VALUES ('indexed', p.indexed, v.indexed), ('stale', p.stale, v.stale), ('duplicate', p.duplicate, v.duplicate),
                           ('conflict', p.conflict, v.conflict), ('skipped', p.skipped, v.skipped), ('rejected', p.rejected, v.rejected),
                           ('pruned', p.pruned + p.pruned_stale, v.pruned)) c (name, counted, records)
WHERE p.source = :'source' AND c.counted <> coalesce(c.records, 0)
UNION ALL
SELECT pipeline, NULL, NULL, NULL, 'committed at most ' || :last || ', the last offset of the input', committed_offset::text
FROM acctflow.pipelines WHERE source = :'source' AND committed_offset > :last
:end
