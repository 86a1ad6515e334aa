INSERT INTO acctflow.callbacks_fired (id, version, fired_at)
SELECT n.id, n.version, n.fired_at FROM unnest($1::text[], $2::bigint[], $3::timestamptz[]) AS n (id, version, fired_at)
ON CONFLICT (id, version) DO NOTHING
