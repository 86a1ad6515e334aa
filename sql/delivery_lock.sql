SELECT name FROM acctflow.source_deliveries WHERE name = $1 AND token = $2::bigint FOR UPDATE
