SELECT pipeline FROM acctflow.pipelines WHERE source = $1 AND shard = $2::integer
