-- What came of the callbacks, and when those are due that are pending: a pass over the accounts, asked the more rarely
-- the longer it takes. One statement, one snapshot: indexed and undelivered are of the same moment.
WITH pending AS (
    SELECT extract(epoch FROM a.ingested_at + a.callback_time_ms * interval '1 millisecond' - $1::timestamptz) AS due
    FROM acctflow.accounts a
    WHERE NOT EXISTS (SELECT FROM acctflow.callbacks_fired f WHERE f.id = a.id AND f.version = a.version)
), by_due AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE due < 0) AS overdue, count(*) FILTER (WHERE due < 1) AS s1,
           count(*) FILTER (WHERE due < 10) AS s10, count(*) FILTER (WHERE due < 60) AS s60,
           count(*) FILTER (WHERE due < 600) AS s600, count(*) FILTER (WHERE due < 3600) AS s3600,
           count(*) FILTER (WHERE due < 86400) AS s86400
    FROM pending
)
SELECT f.fired,
       n AS pending, overdue,
       greatest(0, (SELECT coalesce(sum(indexed), 0)::bigint FROM acctflow.source_lanes) - f.fired - n -
        (SELECT coalesce(sum(l.most - coalesce(d.delivered_offset, -1)), 0)::bigint
         FROM (SELECT name, max(committed_offset) AS most FROM acctflow.source_lanes GROUP BY name) l
         JOIN acctflow.source_deliveries d ON d.name = l.name
         WHERE d.token > 0 AND coalesce(d.delivered_offset, -1) < l.most)) AS cancelled,
       jsonb_build_array(
           jsonb_build_object('seconds', 0, 'count', overdue), jsonb_build_object('seconds', 1, 'count', s1 - overdue),
           jsonb_build_object('seconds', 10, 'count', s10 - s1), jsonb_build_object('seconds', 60, 'count', s60 - s10),
           jsonb_build_object('seconds', 600, 'count', s600 - s60), jsonb_build_object('seconds', 3600, 'count', s3600 - s600),
           jsonb_build_object('seconds', 86400, 'count', s86400 - s3600), jsonb_build_object('seconds', NULL, 'count', n - s86400)
       )::text AS "pendingByDue"
FROM by_due, (SELECT count(*) AS fired FROM acctflow.callbacks_fired) f
