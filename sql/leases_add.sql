-- Adds those that are not there. $1 is the machine, as in the other statements.
INSERT INTO acctflow.leases (source, shard, changed_at)
SELECT u.source, u.shard, now() FROM unnest($2::text[], $3::integer[]) u (source, shard)
WHERE $1::text IS NOT NULL
ON CONFLICT (source, shard) DO NOTHING
