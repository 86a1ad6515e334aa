-- Outcomes of callbacks, by the pipeline that holds this token (null: none does), in the order of the index.
INSERT INTO acctflow.outcomes (id, version, settled_at, failed)
SELECT f.id, f.version, f.settled_at, f.failed
FROM (SELECT unnest($1::text[]) COLLATE "C" AS id, unnest($2::bigint[]) AS version, unnest($3::timestamptz[]) AS settled_at,
             unnest($4::boolean[]) AS failed) f
WHERE $5::integer IS NULL OR EXISTS (SELECT FROM acctflow.deliveries WHERE pipeline = $5::integer AND token = $6::bigint)
ORDER BY f.id, f.version
ON CONFLICT (id, version) DO NOTHING
