-- Takes ack's side of a pipeline over, under the token of writer's side, or the next one of its own.
UPDATE acctflow.deliveries SET token = greatest($2::bigint, token + CASE WHEN $2 IS NULL THEN 1 ELSE 0 END)
WHERE pipeline = $1::integer RETURNING token, delivered_offset
