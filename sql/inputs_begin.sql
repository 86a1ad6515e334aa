-- How an input is read: kept from its first beginning when it is resumed ($8), else as given now.
WITH given AS MATERIALIZED (SELECT $2::numeric AS seed, $7::timestamptz AS started_at)
UPDATE acctflow.inputs i
SET seed = CASE WHEN $8::boolean THEN coalesce(i.seed, given.seed) ELSE given.seed END,
    arrival = CASE WHEN $8::boolean THEN coalesce(arrival, $3) ELSE $3 END,
    delay_ms = CASE WHEN $8::boolean THEN coalesce(delay_ms, $4) ELSE $4 END,
    speed = CASE WHEN $8::boolean THEN coalesce(speed, $5) ELSE $5 END,
    clock = CASE WHEN $8::boolean THEN coalesce(clock, $6) ELSE $6 END,
    started_at = CASE WHEN $8::boolean THEN coalesce(i.started_at, given.started_at) ELSE given.started_at END
FROM given
WHERE name = $1
