UPDATE acctflow.leases l
SET lag = u.lag
FROM unnest($2::text[], $3::integer[], $4::bigint[]) u (source, shard, lag)
WHERE l.source = u.source AND l.shard = u.shard AND l.machine = $1 AND l.lag IS DISTINCT FROM u.lag
