-- What statusd asks every second: a row a source, of few columns each, however large the history is.
SELECT coalesce(sum(s.read), 0)::bigint AS read, coalesce(sum(s.indexed), 0)::bigint AS indexed,
       coalesce(sum(s.stale), 0)::bigint AS stale, coalesce(sum(s.duplicate), 0)::bigint AS duplicate,
       coalesce(sum(s.conflict), 0)::bigint AS conflict, coalesce(sum(s.rejected), 0)::bigint AS rejected,
       extract(epoch FROM max(s.updated_at))::text AS changed,
       coalesce((SELECT jsonb_agg(jsonb_build_object('name', n.name, 'read', n.read, 'indexed', n.indexed, 'stale', n.stale,
                                  'duplicate', n.duplicate, 'conflict', n.conflict, 'rejected', n.rejected,
                                  'committedOffset', n.committed_offset, 'deliveredOffset', n.delivered_offset, 'complete', n.complete,
                                  'updatedAt', to_char(n.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                                  ORDER BY n.updated_at DESC)
                 FROM (SELECT * FROM acctflow.sources ORDER BY updated_at DESC LIMIT 20) n)::text, '[]') AS sources,
       (SELECT string_agg(encode(convert_to(n.name, 'UTF8'), 'hex') || ':' || coalesce(n.committed_offset, -1), ' ')
        FROM (SELECT name, committed_offset FROM acctflow.sources ORDER BY updated_at DESC LIMIT 20) n) AS committed
FROM acctflow.sources s
