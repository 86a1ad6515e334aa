-- Reads the input. Sets ended, whether all of it was read, and last, its last offset.
CREATE TEMP TABLE line (shard integer, json json) ON COMMIT DROP;
CREATE TEMP TABLE member (event text, "offset" bigint, id text, version bigint, "accountType" text, tokens numeric, "callbackTimeMs" bigint,
                          deleted boolean, data json, "arriveMs" bigint, reason text, raw text, "rawBytes" bigint, "rawEncoding" text) ON COMMIT DROP;
-- Each record that is committed; a reject's content is what was wrong with which bytes.
CREATE TEMP TABLE record (shard integer, pipeline integer, source_offset bigint, kind text, id text COLLATE "C", version bigint,
                          arrive_ms bigint, content text) ON COMMIT DROP;
-- The verdict on each, and where the relations say otherwise, what was expected; a row that no record accounts for has none.
CREATE TEMP TABLE verdict (pipeline integer, source_offset bigint, id text, version bigint, verdict text, expected text, found text) ON COMMIT DROP;
SET TRANSACTION READ ONLY;

-- By now the snapshot is taken, so that all that is committed in it is there to be read.
\copy line from program 'exec bash -c "$ACCTFLOW_READ"' with (format csv, delimiter e'\x02', quote e'\x01')
SELECT coalesce(count(*) = max(i.shards), false) AS ended, coalesce(max((e.event ->> 'lastOffset')::bigint), -1) AS last
FROM acctflow.inputs i, line l, LATERAL (SELECT CASE WHEN l.json::text LIKE '{"event":"end",%' THEN l.json END AS event) e
WHERE i.name = :'source' AND e.event IS NOT NULL \gset
