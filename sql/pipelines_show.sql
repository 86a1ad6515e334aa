-- Where a pipeline stands, of which so many callbacks are pending ($2; null where that was not asked).
SELECT s.name AS source, s.shard || '/' || s.shards AS shard, s.shards, s.pipeline, p.token, s.committed_offset AS committed,
       s.delivered_offset AS delivered, s.complete::text, s.broken::text, $2::bigint AS pending,
       ($2::bigint IS NOT DISTINCT FROM 0)::text AS done,
       i.seed, i.arrival, i.delay_ms AS "delayMs", i.speed, i.clock,
       CASE i.clock WHEN 'virtual' THEN to_char(i.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END AS epoch,
       s.fingerprint, p.check_offset || ':' || CASE WHEN p.check_hash < 0 THEN p.check_hash + 18446744073709551616 ELSE p.check_hash END AS "check",
       to_char(i.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "startedAt",
       (SELECT max(substr(o.name, length(s.name) + 2)::integer) FROM acctflow.inputs o
        WHERE o.name > s.name || '#' AND o.name < s.name || '$' AND substr(o.name, length(s.name) + 2) ~ '^[1-9][0-9]{0,8}$') AS again
FROM acctflow.source_shards s
JOIN acctflow.pipelines p ON p.pipeline = s.pipeline
JOIN acctflow.inputs i ON i.name = s.name
WHERE s.pipeline = $1::integer
