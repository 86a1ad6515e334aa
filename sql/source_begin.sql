-- What a source is: kept from its first beginning when it is resumed ($9), else as told now.
UPDATE acctflow.source_inputs
SET seed = CASE WHEN $9::boolean THEN coalesce(seed, $2::numeric) ELSE $2::numeric END,
    arrival = CASE WHEN $9::boolean THEN coalesce(arrival, $3) ELSE $3 END,
    delay_ms = CASE WHEN $9::boolean THEN coalesce(delay_ms, $4) ELSE $4 END,
    speed = CASE WHEN $9::boolean THEN coalesce(speed, $5) ELSE $5 END,
    clock = CASE WHEN $9::boolean THEN coalesce(clock, $6) ELSE $6 END,
    fingerprint = CASE WHEN $9::boolean THEN coalesce(fingerprint, $7) ELSE $7 END,
    started_at = CASE WHEN $9::boolean THEN coalesce(started_at, $8::timestamptz) ELSE $8::timestamptz END,
    complete = false
WHERE name = $1
