-- One row a shard. The counts that a pipeline keeps are compared with the rows themselves: consistent is false where
-- anything was lost or counted twice. It must stay the last column.
WITH rows AS (
    SELECT u.pipeline, count(*) FILTER (WHERE u.applied) AS indexed, count(*) FILTER (WHERE NOT u.applied) AS stale,
           count(*) FILTER (WHERE u.applied AND u.callback_time_ms IS NULL) AS without_callback,
           count(*) FILTER (WHERE u.applied AND u.callback_time_ms IS NOT NULL AND NOT o.failed) AS fired,
           count(*) FILTER (WHERE u.applied AND u.callback_time_ms IS NOT NULL AND o.failed) AS failed,
           count(*) FILTER (WHERE u.applied AND u.callback_time_ms IS NOT NULL AND o.id IS NULL AND l.version > u.version) AS cancelled,
           count(*) FILTER (WHERE u.applied AND u.callback_time_ms IS NOT NULL AND o.id IS NULL AND l.version = u.version) AS pending
    FROM acctflow.history u
    LEFT JOIN acctflow.outcomes o ON o.id = u.id AND o.version = u.version
    LEFT JOIN acctflow.latest l ON l.id = u.id
    GROUP BY u.pipeline
), rejects AS (
    SELECT pipeline, count(*) FILTER (WHERE kind = 'conflict') AS conflict, count(*) FILTER (WHERE kind <> 'conflict') AS rejected
    FROM acctflow.rejects GROUP BY pipeline
)
SELECT s.name AS source, s.shard || '/' || s.shards AS shard, s.read, s.indexed, s.stale, s.duplicate, s.conflict, s.skipped,
       s.rejected, coalesce(r.fired, 0) AS fired, coalesce(r.failed, 0) AS failed, coalesce(r.cancelled, 0) AS cancelled,
       coalesce(r.pending, 0) AS pending, s.without_callback AS "withoutCallback", s.pruned,
       s.committed_offset AS committed, s.delivered_offset AS delivered, s.complete, s.broken,
       s.read = s.indexed + s.stale + s.duplicate + s.conflict + s.skipped + s.rejected
       AND (s.indexed, s.stale, s.without_callback)
           = (coalesce(r.indexed, 0) + s.pruned, coalesce(r.stale, 0) + s.pruned_stale, coalesce(r.without_callback, 0))
       AND s.indexed = coalesce(r.fired + r.failed + r.cancelled + r.pending, 0) + s.without_callback + s.pruned
       AND (s.conflict, s.rejected) = (coalesce(x.conflict, 0), coalesce(x.rejected, 0)) AS consistent
FROM acctflow.source_shards s
LEFT JOIN rows r ON r.pipeline = s.pipeline
LEFT JOIN rejects x ON x.pipeline = s.pipeline
WHERE $1::text IS NULL OR s.name = $1
ORDER BY s.name, s.shard
