-- The rejects of a source by kind and reason, whatever numbers are in it, the most frequent first, with the first three of each
-- as an array: offset, ms, reason, the beginning of the record, its encoding.
WITH r AS (
    SELECT r.*, regexp_replace(left(r.reason, 100), '[0-9]+', 'N', 'g') AS form
    FROM acctflow.rejects r JOIN acctflow.pipelines p ON p.pipeline = r.pipeline WHERE p.source = $1
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY kind, form ORDER BY rejected_at, source_offset) AS nth FROM r
)
SELECT kind, form AS reason, count(*) AS records,
       json_agg(json_build_array(source_offset, trim_scale((extract(epoch FROM rejected_at - $2::timestamptz) * 1000)::numeric),
                                 left(reason, 300), left(raw, 200), raw_encoding) ORDER BY nth) FILTER (WHERE nth <= 3) AS first
FROM numbered
GROUP BY kind, form
ORDER BY count(*) DESC, kind, form
LIMIT 200
