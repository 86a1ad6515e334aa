UPDATE acctflow.source_deliveries SET delivered_offset = coalesce($3::bigint, delivered_offset), updated_at = now()
WHERE name = $1 AND token = $2::bigint RETURNING token
