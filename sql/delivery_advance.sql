UPDATE acctflow.source_deliveries SET delivered_offset = coalesce($2::bigint, delivered_offset), updated_at = now() WHERE name = $1
