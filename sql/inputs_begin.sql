-- How an input is read: kept from its first beginning when it is resumed ($8), else as given now.
UPDATE acctflow.inputs
SET seed = CASE WHEN $8::boolean THEN coalesce(seed, $2::numeric) ELSE $2::numeric END,
    arrival = CASE WHEN $8::boolean THEN coalesce(arrival, $3) ELSE $3 END,
    delay_ms = CASE WHEN $8::boolean THEN coalesce(delay_ms, $4) ELSE $4 END,
    speed = CASE WHEN $8::boolean THEN coalesce(speed, $5) ELSE $5 END,
    clock = CASE WHEN $8::boolean THEN coalesce(clock, $6) ELSE $6 END,
    started_at = CASE WHEN $8::boolean THEN coalesce(started_at, $7::timestamptz) ELSE $7::timestamptz END
WHERE name = $1
