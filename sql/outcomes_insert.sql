-- Outcomes of callbacks, in the order of the index; of a pipeline (null: of none) only where its deliveries were advanced in
-- this transaction.
INSERT INTO acctflow.outcomes (id, version, settled_at, failed)
SELECT f.id, f.version, f.settled_at, f.failed
FROM (SELECT unnest($1::text[]) COLLATE "C" AS id, unnest($2::bigint[]) AS version, unnest($3::timestamptz[]) AS settled_at,
             unnest($4::boolean[]) AS failed) f
WHERE $5::integer IS NULL OR EXISTS (
    SELECT FROM acctflow.deliveries d WHERE d.pipeline = $5::integer AND d.token = $6::bigint AND d.updated_at >= now())
ORDER BY f.id, f.version
ON CONFLICT (id, version) DO NOTHING
