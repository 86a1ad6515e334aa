-- Counts a version ($2) that stays without its callback, whose outcome leaves.
UPDATE acctflow.pipelines p
SET without_callback = p.without_callback + 1, pruned_fired = p.pruned_fired + n.fired, pruned_failed = p.pruned_failed + n.failed
FROM (SELECT u.pipeline, count(*) FILTER (WHERE NOT o.failed) AS fired, count(*) FILTER (WHERE o.failed) AS failed
      FROM acctflow.history u
      LEFT JOIN acctflow.outcomes o ON o.id = u.id AND o.version = u.version
      WHERE u.id = $1 AND u.version = $2::bigint AND u.callback_time_ms IS NOT NULL
      GROUP BY u.pipeline) n
WHERE p.pipeline = n.pipeline
