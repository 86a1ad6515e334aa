-- Failed callbacks, of these accounts ($1; null: of all), lose their outcome: they are pending again, or cancelled where the
-- account has a newer version.
DELETE FROM acctflow.outcomes o USING acctflow.latest l
WHERE l.id = o.id AND o.failed AND ($1::text[] IS NULL OR o.id = ANY ($1::text[]))
RETURNING o.id, o.version, CASE WHEN l.version > o.version THEN 'cancelled' ELSE 'pending' END AS state
