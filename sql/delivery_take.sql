UPDATE acctflow.source_deliveries SET token = $2::bigint WHERE name = $1 RETURNING token, delivered_offset
