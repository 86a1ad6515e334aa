-- Counts these versions as pruned, which leave in the same transaction.
UPDATE acctflow.pipelines p
SET pruned = p.pruned + n.applied, pruned_stale = p.pruned_stale + n.stale, without_callback = p.without_callback - n.without_callback,
    pruned_fired = p.pruned_fired + n.fired, pruned_failed = p.pruned_failed + n.failed,
    pruned_cancelled = p.pruned_cancelled + n.applied - n.without_callback - n.fired - n.failed
FROM (SELECT u.pipeline, count(*) FILTER (WHERE u.applied) AS applied, count(*) FILTER (WHERE NOT u.applied) AS stale,
             count(*) FILTER (WHERE u.applied AND u.callback_time_ms IS NULL) AS without_callback,
             count(*) FILTER (WHERE NOT o.failed) AS fired, count(*) FILTER (WHERE o.failed) AS failed
      FROM (SELECT unnest($1::text[]) AS id, unnest($2::bigint[]) AS version) k
      JOIN acctflow.history u ON u.id = k.id AND u.version = k.version
      LEFT JOIN acctflow.outcomes o ON o.id = u.id AND o.version = u.version
      GROUP BY u.pipeline) n
WHERE p.pipeline = n.pipeline
