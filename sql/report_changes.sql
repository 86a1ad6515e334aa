-- When another account of its type came to have the most tokens, of equal ones the first by its id; the first $3 such changes,
-- and in the first row how many there are. As of a moment an account is what its highest version of the source until then says.
--
-- A version is its account's highest in a span of moments. A span is cut into blocks of 1, 2, 4, … moments, each beginning at a
-- multiple of its size, twice log n of them; who is first at a moment is the best of the log n blocks around it. That is n log n
-- whatever the stream is like, where asking moment by moment is n².
WITH u AS (
    SELECT u.id, u.version, u.ingested_at, u.deleted, u.account_type, u.tokens,
           max(u.version) OVER (PARTITION BY u.id ORDER BY u.ingested_at, u.version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
    FROM acctflow.history u JOIN acctflow.pipelines p ON p.pipeline = u.pipeline WHERE p.source = $1
), risen AS (
    SELECT *, dense_rank() OVER (ORDER BY ingested_at) AS since FROM u WHERE highest IS NULL OR version > highest
), spans AS (
    SELECT id, account_type, tokens, deleted, since, ingested_at AS since_at,
           lead(since, 1, (SELECT max(since) + 1 FROM risen)) OVER (PARTITION BY id ORDER BY version) AS until,
           lead(ingested_at) OVER (PARTITION BY id ORDER BY version) AS until_at
    FROM risen
), ranked AS MATERIALIZED (
    SELECT id, account_type, tokens, since, since_at, until, until_at, dense_rank() OVER (ORDER BY account_type) AS type,
           row_number() OVER (ORDER BY account_type, tokens, id DESC) AS rank
    FROM spans WHERE NOT deleted AND since < until
), blocks AS (
    SELECT r.type, k.level, c.block, max(r.rank) AS rank
    FROM ranked r
    CROSS JOIN LATERAL generate_series(0, ceil(ln((r.until - r.since)::float8) / 0.69)::integer) k (level)
    CROSS JOIN LATERAL (SELECT (r.since + (1::bigint << k.level) - 1) >> k.level AS low, r.until >> k.level AS high) b
    CROSS JOIN LATERAL (VALUES (b.low, b.low & 1), (b.high - 1, b.high & 1)) c (block, odd)
    WHERE b.low < b.high AND c.odd = 1
    GROUP BY r.type, k.level, c.block
), moments AS (
    SELECT type, since AS moment, since_at AS at FROM ranked
    UNION
    SELECT type, until, until_at FROM ranked WHERE until_at IS NOT NULL
), firsts AS (
    SELECT m.type, m.moment, m.at, max(b.rank) AS rank
    FROM moments m
    CROSS JOIN generate_series(0, (SELECT ceil(ln(max(until)::float8) / 0.69)::integer FROM ranked)) k (level)
    LEFT JOIN blocks b ON b.type = m.type AND b.level = k.level AND b.block = m.moment >> k.level
    GROUP BY m.type, m.moment, m.at
), steps AS (
    SELECT type, moment, at, rank, lag(rank) OVER (PARTITION BY type ORDER BY moment) AS before FROM firsts
), changes AS (
    SELECT s.type, s.moment, s.at, b.id AS before, b.tokens AS before_tokens, a.id, a.tokens
    FROM steps s
    LEFT JOIN ranked b ON b.rank = s.before
    LEFT JOIN ranked a ON a.rank = s.rank
    WHERE s.rank IS DISTINCT FROM s.before AND a.id IS DISTINCT FROM b.id
)
SELECT trim_scale((extract(epoch FROM c.at - $2::timestamptz) * 1000)::numeric) AS at, t.account_type AS type,
       c.before, c.before_tokens::text AS "beforeTokens", c.id, c.tokens::text,
       CASE WHEN row_number() OVER (ORDER BY c.moment, c.type) = 1 THEN count(*) OVER () END AS changes
FROM changes c
JOIN (SELECT DISTINCT type, account_type FROM ranked) t ON t.type = c.type
ORDER BY c.moment, c.type
LIMIT $3::bigint
