UPDATE acctflow.source_lanes SET owner_pid = NULL, owner_start = NULL WHERE name = $1 AND token = $2::bigint
