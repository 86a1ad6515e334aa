-- The versions of a source's accounts, account by account, in the order in which the accounts came: those with the most
-- versions, until there are $3 of them. The first row of an account has its id, and how many versions it has. What became of
-- a version: 0 pending, 1 fired, 2 cancelled, 3 failed, 4 stale, 5 without a callback, 6 deleted; its type by its place among all.
WITH u AS (
    SELECT u.id, u.version, u.ingested_at, u.source_offset, u.callback_time_ms, u.applied, u.deleted, u.account_type, u.tokens, u.due_at
    FROM acctflow.history u JOIN acctflow.pipelines p ON p.pipeline = u.pipeline WHERE p.source = $1
), types AS (
    SELECT account_type, row_number() OVER (ORDER BY account_type) - 1 AS n FROM (SELECT DISTINCT account_type FROM u WHERE account_type IS NOT NULL) t
), counted AS (
    SELECT id, count(*) AS versions, min(ingested_at) AS first FROM u GROUP BY id
), chosen AS (
    SELECT * FROM (SELECT *, sum(versions) OVER (ORDER BY versions DESC, id) - versions AS before FROM counted) c WHERE before < $3::bigint
), v AS (
    SELECT u.*, c.versions, c.first, row_number() OVER (PARTITION BY u.id ORDER BY u.ingested_at, u.source_offset, u.version) AS nth
    FROM chosen c JOIN u ON u.id = c.id
), n AS (
    SELECT id, version, lead(ingested_at) OVER (PARTITION BY id ORDER BY version) AS superseded_at
    FROM acctflow.history WHERE applied AND id IN (SELECT id FROM chosen)
)
SELECT trim_scale((extract(epoch FROM v.ingested_at - $2::timestamptz) * 1000)::numeric) AS at, v.version::text,
       CASE WHEN NOT v.applied THEN 4 WHEN v.deleted THEN 6 WHEN v.callback_time_ms IS NULL THEN 5 WHEN o.failed THEN 3
            WHEN o.id IS NOT NULL THEN 1 WHEN n.superseded_at IS NOT NULL THEN 2 ELSE 0 END AS state,
       t.n AS type, v.tokens::text,
       CASE WHEN v.applied THEN trim_scale((extract(epoch FROM coalesce(v.due_at, v.ingested_at + v.callback_time_ms * interval '1 millisecond')
                                                          - $2::timestamptz) * 1000)::numeric) END AS due,
       CASE WHEN v.applied AND v.callback_time_ms IS NOT NULL
            THEN trim_scale((extract(epoch FROM coalesce(o.settled_at, n.superseded_at) - $2::timestamptz) * 1000)::numeric) END AS settled,
       CASE WHEN v.nth = 1 THEN v.id END AS id, CASE WHEN v.nth = 1 THEN v.versions END AS versions
FROM v
LEFT JOIN types t ON t.account_type = v.account_type
LEFT JOIN acctflow.outcomes o ON o.id = v.id AND o.version = v.version
LEFT JOIN n ON n.id = v.id AND n.version = v.version
WHERE v.nth <= $3::bigint
ORDER BY v.first, v.id, v.nth
