-- As fired_insert_new, where some may have been recorded before: half as much work again.
INSERT INTO acctflow.callbacks_fired (id, version, fired_at)
SELECT f.id, f.version, f.fired_at
FROM (SELECT unnest($1::text[]) COLLATE "C" AS id, unnest($2::bigint[]) AS version, unnest($3::timestamptz[]) AS fired_at) f
WHERE $4::text IS NULL OR EXISTS (SELECT FROM acctflow.source_deliveries WHERE name = $4 AND token = $5::bigint)
ORDER BY f.id, f.version
ON CONFLICT (id, version) DO NOTHING
