-- The figures of a run: of that source, or of the one that was updated last. It starts when it was begun, or with what came
-- first, and has the length to what happened last; bin is a 240th of it. No row: there is no such source.
WITH s AS (
    SELECT * FROM acctflow.sources WHERE $1::text IS NULL OR name = $1 ORDER BY updated_at DESC, name LIMIT 1
), p AS (
    SELECT p.pipeline FROM acctflow.pipelines p JOIN s ON s.name = p.source
), u AS (
    SELECT u.id, u.ingested_at, o.settled_at, o.failed, u.applied AND u.callback_time_ms IS NOT NULL AS callback, l.version > u.version AS superseded,
           (extract(epoch FROM o.settled_at - coalesce(u.due_at, u.ingested_at + u.callback_time_ms * interval '1 millisecond')) * 1000000)::bigint AS late
    FROM acctflow.history u
    LEFT JOIN acctflow.outcomes o ON o.id = u.id AND o.version = u.version
    LEFT JOIN acctflow.latest l ON l.id = u.id
    WHERE u.pipeline IN (SELECT pipeline FROM p)
), v AS (
    SELECT count(*) AS versions, count(DISTINCT id) AS accounts, min(ingested_at) AS first, greatest(max(ingested_at), max(settled_at)) AS last,
           count(*) FILTER (WHERE callback AND NOT failed) AS fired, count(*) FILTER (WHERE callback AND failed) AS failed,
           count(*) FILTER (WHERE callback AND failed IS NULL AND superseded) AS cancelled,
           count(*) FILTER (WHERE callback AND failed IS NULL AND NOT superseded) AS pending,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY late) FILTER (WHERE callback AND NOT failed) AS p50,
           percentile_disc(0.9) WITHIN GROUP (ORDER BY late) FILTER (WHERE callback AND NOT failed) AS p90,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY late) FILTER (WHERE callback AND NOT failed) AS p99,
           max(late) FILTER (WHERE callback AND NOT failed) AS most
    FROM u
), x AS (
    SELECT min(rejected_at) AS first, max(rejected_at) AS last FROM acctflow.rejects WHERE pipeline IN (SELECT pipeline FROM p)
), span AS (
    SELECT coalesce(least(s.started_at, v.first, x.first), s.updated_at) AS began, greatest(v.last, x.last) AS ended FROM s, v, x
), ms AS (
    SELECT began, trim_scale(coalesce((extract(epoch FROM ended - began) * 1000)::numeric, 0)) AS length FROM span
)
SELECT s.name AS source, to_char(m.began AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS start,
       to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS made, m.length, greatest(1, ceil(m.length / 240))::bigint AS bin,
       v.accounts, v.versions, s.read, s.indexed, s.stale, s.duplicate, s.conflict, s.skipped, s.rejected,
       s.without_callback AS "withoutCallback", v.fired, v.failed, v.cancelled, v.pending, v.p50, v.p90, v.p99, v.most,
       s.shards, s.arrival, s.seed::text, s.clock, s.complete, s.broken
FROM s, v, ms m
