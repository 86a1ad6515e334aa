-- Who works on which pipeline, by machine; what is free comes last.
SELECT owner, source, shard || '/' || shards AS shard, token, extract(epoch FROM until - now())::numeric(9, 1) AS "secondsLeft",
       committed_offset AS committed, delivered_offset AS delivered, lag
FROM acctflow.fleet
WHERE $1::text IS NULL OR source = $1
ORDER BY owner, source, acctflow.fleet.shard
