-- The pipelines that have callbacks pending, and that no living backend works for.
SELECT p.source, p.shard || '/' || i.shards AS shard, n.pending
FROM (SELECT a.pipeline, count(*) AS pending FROM acctflow.latest a
      WHERE a.callback_time_ms IS NOT NULL AND a.pipeline IS NOT NULL
        AND NOT EXISTS (SELECT FROM acctflow.outcomes o WHERE o.id = a.id AND o.version = a.version)
      GROUP BY a.pipeline) n
JOIN acctflow.pipelines p ON p.pipeline = n.pipeline
JOIN acctflow.inputs i ON i.name = p.source
JOIN acctflow.deliveries d ON d.pipeline = p.pipeline
WHERE NOT EXISTS (SELECT FROM pg_stat_get_activity(NULL) b
                  WHERE (b.pid = p.owner_pid AND b.backend_start = p.owner_start)
                     OR (b.pid = d.owner_pid AND b.backend_start = d.owner_start))
ORDER BY p.source, p.shard
