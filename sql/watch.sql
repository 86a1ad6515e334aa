-- What statusd asks every other second: few columns of few rows, however large the history is. `sources` has an object for
-- each shard; those that moved last.
WITH newest AS (
    SELECT name, shard || '/' || shards AS shard, read, indexed, stale, duplicate, conflict, skipped, rejected,
           committed_offset, delivered_offset, complete, updated_at
    FROM acctflow.source_shards ORDER BY updated_at DESC LIMIT 40
)
SELECT coalesce(sum(s.read), 0)::bigint AS read, coalesce(sum(s.indexed), 0)::bigint AS indexed,
       coalesce(sum(s.stale), 0)::bigint AS stale, coalesce(sum(s.duplicate), 0)::bigint AS duplicate,
       coalesce(sum(s.conflict), 0)::bigint AS conflict, coalesce(sum(s.skipped), 0)::bigint AS skipped,
       coalesce(sum(s.rejected), 0)::bigint AS rejected, extract(epoch FROM max(s.updated_at))::text AS changed,
       coalesce((SELECT jsonb_agg(jsonb_build_object('name', n.name, 'shard', n.shard, 'read', n.read, 'indexed', n.indexed,
                                  'stale', n.stale, 'duplicate', n.duplicate, 'conflict', n.conflict, 'skipped', n.skipped, 'rejected', n.rejected,
                                  'committedOffset', n.committed_offset, 'deliveredOffset', n.delivered_offset, 'complete', n.complete,
                                  'updatedAt', to_char(n.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                                  ORDER BY n.updated_at DESC)
                 FROM newest n)::text, '[]') AS sources,
       (SELECT count(*) FROM acctflow.machines) AS machines,
       coalesce((SELECT jsonb_agg(jsonb_build_object('source', f.source, 'shard', f.shard || '/' || f.shards, 'owner', f.owner, 'token', f.token,
                                  'until', to_char(f.until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                                  'committedOffset', f.committed_offset, 'deliveredOffset', f.delivered_offset, 'lag', f.lag)
                                  ORDER BY f.owner, f.source, f.shard)
                 FROM (SELECT * FROM acctflow.fleet ORDER BY owner, source, shard LIMIT 1000) f
                 WHERE EXISTS (SELECT FROM acctflow.machines))::text, '[]') AS fleet
FROM acctflow.source_shards s
