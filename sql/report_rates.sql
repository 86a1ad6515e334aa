-- What happened in each $3 ms of a run, where anything did. Read is what left a row with its time: not duplicates, nor what was skipped.
WITH p AS (
    SELECT pipeline FROM acctflow.pipelines WHERE source = $1
), e AS (
    SELECT ingested_at AS at, 1 AS read, applied::integer AS indexed, 0 AS fired, 0 AS rejected
    FROM acctflow.history WHERE pipeline IN (SELECT pipeline FROM p)
    UNION ALL
    SELECT o.settled_at, 0, 0, 1, 0
    FROM acctflow.outcomes o JOIN acctflow.history u ON u.id = o.id AND u.version = o.version
    WHERE u.pipeline IN (SELECT pipeline FROM p) AND NOT o.failed
    UNION ALL
    SELECT rejected_at, 1, 0, 0, 1 FROM acctflow.rejects WHERE pipeline IN (SELECT pipeline FROM p)
)
SELECT floor(extract(epoch FROM at - $2::timestamptz) * 1000 / $3::bigint)::bigint AS bin, sum(read)::bigint AS read,
       sum(indexed)::bigint AS indexed, sum(fired)::bigint AS fired, sum(rejected)::bigint AS rejected
FROM e
GROUP BY 1
ORDER BY 1
