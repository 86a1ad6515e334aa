-- Outcomes of callbacks, by the pipeline that holds this token (null: none does), in the order of the index; and only while
-- what was acknowledged ($7) is committed, as in deliveries_advance.
INSERT INTO acctflow.outcomes (id, version, settled_at, failed)
SELECT f.id, f.version, f.settled_at, f.failed
FROM (SELECT unnest($1::text[]) COLLATE "C" AS id, unnest($2::bigint[]) AS version, unnest($3::timestamptz[]) AS settled_at,
             unnest($4::boolean[]) AS failed) f
WHERE $5::integer IS NULL OR EXISTS (
    SELECT FROM acctflow.deliveries d JOIN acctflow.pipelines p ON p.pipeline = d.pipeline
    WHERE d.pipeline = $5::integer AND d.token = $6::bigint AND ($7::bigint IS NULL OR $7::bigint <= p.committed_offset))
ORDER BY f.id, f.version
ON CONFLICT (id, version) DO NOTHING
