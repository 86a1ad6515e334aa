UPDATE acctflow.deliveries SET owner_pid = NULL, owner_start = NULL WHERE pipeline = $1::integer AND token = $2::bigint
