-- The leases of those pipelines, in their order: whose each is, who wants it, whether it is done for this machine, and
-- whether it has been free for so long that any machine takes it.
SELECT u.n, l.machine, l.wanted_by, l.done_at >= m.joined_at, l.changed_at < now() - interval '2 seconds'
FROM unnest($2::text[], $3::integer[]) WITH ORDINALITY u (source, shard, n)
JOIN acctflow.leases l ON l.source = u.source AND l.shard = u.shard
JOIN acctflow.machines m ON m.machine = $1
ORDER BY u.n
