-- How many callbacks fired how late: each step of 1, 2, 5, from 0 µs on, with those from there to the next.
WITH late AS (
    SELECT (extract(epoch FROM o.settled_at - coalesce(u.due_at, u.ingested_at + u.callback_time_ms * interval '1 millisecond')) * 1000000)::bigint AS us
    FROM acctflow.outcomes o
    JOIN acctflow.history u ON u.id = o.id AND u.version = o.version
    JOIN acctflow.pipelines p ON p.pipeline = u.pipeline
    WHERE p.source = $1 AND NOT o.failed AND u.applied AND u.callback_time_ms IS NOT NULL
), steps AS (
    SELECT array_agg(b * (10 ^ e)::bigint ORDER BY b * (10 ^ e)::bigint) AS us FROM unnest(ARRAY[1, 2, 5]) b CROSS JOIN generate_series(0, 11) e
)
SELECT CASE WHEN width_bucket(l.us, s.us) = 0 THEN 0 ELSE s.us[width_bucket(l.us, s.us)] END AS us, count(*) AS callbacks
FROM late l CROSS JOIN steps s
GROUP BY 1
ORDER BY 1
