-- Takes ack's side of a pipeline over, under that token, or by hand (null) under one of its own.
UPDATE acctflow.deliveries SET token = coalesce($2::bigint, token + 1) WHERE pipeline = $1::integer RETURNING token
