-- How many versions came in each $3 ms, of each of at most 64 equal groups of accounts, in the order in which the accounts came.
WITH u AS (
    SELECT u.id, u.ingested_at FROM acctflow.history u JOIN acctflow.pipelines p ON p.pipeline = u.pipeline WHERE p.source = $1
), a AS (
    SELECT id, (row_number() OVER (ORDER BY min(ingested_at), id) - 1) * least(64, count(*) OVER ()) / count(*) OVER () AS part FROM u GROUP BY id
)
SELECT a.part, floor(extract(epoch FROM u.ingested_at - $2::timestamptz) * 1000 / $3::bigint)::bigint AS bin, count(*) AS versions
FROM a JOIN u ON u.id = a.id
GROUP BY 1, 2
ORDER BY 1, 2
