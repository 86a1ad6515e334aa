-- Whether the machine has the lease of a pipeline. A source that was read anew, NAME#2, goes by the lease of NAME.
SELECT FROM acctflow.leases
WHERE machine = $3 AND shard = $2::integer AND source IN ($1, regexp_replace($1, '#[0-9]+$', ''))
