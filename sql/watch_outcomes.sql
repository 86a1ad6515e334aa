-- The outcomes of the callbacks, and when those are due that are pending: a pass over the accounts, asked the more rarely
-- the longer it takes. One statement, one snapshot: all counts are of the same moment. Due or not is by the database's
-- clock, as for a run. What prune removed is in the totals all the same: they never fall.
WITH pending AS (
    SELECT extract(epoch FROM coalesce(u.due_at, a.ingested_at + a.callback_time_ms * interval '1 millisecond') - now()) AS due
    FROM acctflow.latest a
    JOIN acctflow.history u ON u.id = a.id AND u.version = a.version
    WHERE a.callback_time_ms IS NOT NULL
      AND NOT EXISTS (SELECT FROM acctflow.outcomes o WHERE o.id = a.id AND o.version = a.version)
), by_due AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE due < 0) AS overdue, count(*) FILTER (WHERE due < 1) AS s1,
           count(*) FILTER (WHERE due < 10) AS s10, count(*) FILTER (WHERE due < 60) AS s60,
           count(*) FILTER (WHERE due < 600) AS s600, count(*) FILTER (WHERE due < 3600) AS s3600,
           count(*) FILTER (WHERE due < 86400) AS s86400
    FROM pending
), settled AS (
    SELECT count(*) FILTER (WHERE NOT failed) AS fired, count(*) FILTER (WHERE failed) AS failed FROM acctflow.outcomes
), pruned AS (
    SELECT coalesce(sum(pruned_fired), 0)::bigint AS fired, coalesce(sum(pruned_failed), 0)::bigint AS failed,
           coalesce(sum(indexed - without_callback - pruned + pruned_cancelled), 0)::bigint AS others
    FROM acctflow.pipelines
)
SELECT s.fired + p.fired AS fired, s.failed + p.failed AS failed, n AS pending, overdue,
       greatest(0, p.others - s.fired - s.failed - n -
        (SELECT coalesce(sum(p.committed_offset - coalesce(d.delivered_offset, -1)), 0)::bigint
         FROM acctflow.pipelines p JOIN acctflow.deliveries d ON d.pipeline = p.pipeline
         WHERE d.token > 0 AND coalesce(d.delivered_offset, -1) < p.committed_offset)) AS cancelled,
       jsonb_build_array(
           jsonb_build_object('seconds', 0, 'count', overdue), jsonb_build_object('seconds', 1, 'count', s1 - overdue),
           jsonb_build_object('seconds', 10, 'count', s10 - s1), jsonb_build_object('seconds', 60, 'count', s60 - s10),
           jsonb_build_object('seconds', 600, 'count', s600 - s60), jsonb_build_object('seconds', 3600, 'count', s3600 - s600),
           jsonb_build_object('seconds', 86400, 'count', s86400 - s3600), jsonb_build_object('seconds', NULL, 'count', n - s86400)
       )::text AS "pendingByDue"
FROM by_due, settled s, pruned p
