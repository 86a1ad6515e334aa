SELECT shards FROM acctflow.inputs WHERE name = $1
