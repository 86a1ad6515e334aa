INSERT INTO acctflow.callbacks_fired (id, version, fired_at)
SELECT unnest($1::text[]), unnest($2::bigint[]), unnest($3::timestamptz[])
ON CONFLICT (id, version) DO NOTHING
