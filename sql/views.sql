-- The relations of the contract, made anew after each change of the tables, in the same transaction.
CREATE VIEW acctflow.accounts AS
SELECT a.id, a.account_type, a.tokens, a.version, a.data, a.callback_time_ms, a.ingested_at, p.source, a.source_offset
FROM acctflow.latest a
LEFT JOIN acctflow.pipelines p ON p.pipeline = a.pipeline
WHERE NOT a.deleted;

CREATE VIEW acctflow.account_updates AS
SELECT u.id, u.version, u.account_type, u.tokens, u.data, u.callback_time_ms, u.ingested_at, u.applied, u.deleted,
       p.source, u.source_offset, u.trace
FROM acctflow.history u
LEFT JOIN acctflow.pipelines p ON p.pipeline = u.pipeline;

-- Each version that was indexed with a callback has one outcome: the recorded one, else cancelled if superseded, else pending.
CREATE VIEW acctflow.callbacks AS
SELECT u.id, u.version,
       coalesce(u.due_at, u.ingested_at + u.callback_time_ms * interval '1 millisecond') AS due_at,
       CASE WHEN o.failed THEN 'failed' WHEN o.id IS NOT NULL THEN 'fired'
            WHEN n.version IS NOT NULL THEN 'cancelled' ELSE 'pending' END AS state,
       coalesce(o.settled_at, n.ingested_at) AS settled_at
FROM acctflow.history u
LEFT JOIN acctflow.outcomes o ON o.id = u.id AND o.version = u.version
LEFT JOIN LATERAL (SELECT n.version, n.ingested_at
                   FROM acctflow.history n
                   WHERE n.id = u.id AND n.version > u.version AND n.applied
                   ORDER BY n.version LIMIT 1) n ON true
WHERE u.applied AND u.callback_time_ms IS NOT NULL;

CREATE VIEW acctflow.source_shards AS
SELECT p.source AS name, p.shard, i.shards, p.pipeline, p.committed_offset, d.delivered_offset,
       p.indexed + p.stale + p.duplicate + p.conflict + p.skipped + p.rejected AS read,
       p.indexed, p.stale, p.duplicate, p.conflict, p.skipped, p.rejected, p.without_callback, p.pruned, p.pruned_stale,
       greatest(p.updated_at, d.updated_at) AS updated_at, p.complete, p.broken, p.fingerprint
FROM acctflow.pipelines p
JOIN acctflow.inputs i ON i.name = p.source
JOIN acctflow.deliveries d ON d.pipeline = p.pipeline;

-- Counts are sums. An offset is the least over the shards that are not complete, else the greatest; null where a shard
-- that is not complete has none yet. What is delivered is the least over all until all are complete: one that was may be
-- behind what has been queued for it since.
CREATE VIEW acctflow.sources AS
SELECT i.name, s.committed_offset, s.delivered_offset, s.read, s.indexed, s.stale, s.duplicate, s.conflict, s.skipped,
       s.rejected, s.without_callback, s.pruned, s.pruned_stale, s.updated_at, s.complete, s.broken, i.shards, i.seed, i.arrival,
       i.delay_ms, i.speed, i.clock, s.fingerprint, i.started_at
FROM acctflow.inputs i
JOIN (SELECT name,
             CASE WHEN bool_and(complete) THEN max(committed_offset)
                  WHEN count(*) FILTER (WHERE NOT complete AND committed_offset IS NULL) = 0
                  THEN min(committed_offset) FILTER (WHERE NOT complete) END AS committed_offset,
             CASE WHEN bool_and(complete) THEN max(delivered_offset)
                  WHEN count(*) FILTER (WHERE delivered_offset IS NULL) = 0
                  THEN min(delivered_offset) END AS delivered_offset,
             sum(read)::bigint AS read, sum(indexed)::bigint AS indexed, sum(stale)::bigint AS stale,
             sum(duplicate)::bigint AS duplicate, sum(conflict)::bigint AS conflict, sum(skipped)::bigint AS skipped,
             sum(rejected)::bigint AS rejected, sum(without_callback)::bigint AS without_callback, sum(pruned)::bigint AS pruned,
             sum(pruned_stale)::bigint AS pruned_stale, max(updated_at) AS updated_at,
             bool_and(complete) AND count(*) = max(shards) AS complete, bool_or(broken) AS broken,
             min(fingerprint) AS fingerprint
      FROM acctflow.source_shards GROUP BY name) s ON s.name = i.name;

-- The outcome of one that was redriven is found by its offset in the source that it was redriven as, whose records are a
-- stretch of the history by time, give or take a clock that was set back. A duplicate leaves no row, and no more does what a
-- map skips.
CREATE VIEW acctflow.rejected_updates AS
SELECT p.source, r.source_offset, r.kind, r.reason, r.raw, r.raw_bytes, r.raw_encoding, r.rejected_at,
       CASE WHEN r.discarded_at IS NOT NULL THEN 'discarded' WHEN r.redriven_as IS NULL THEN NULL
            WHEN u.applied THEN 'indexed' WHEN NOT u.applied THEN 'stale'
            WHEN u.kind = 'conflict' THEN 'conflict' WHEN u.kind IS NOT NULL THEN 'rejected'
            WHEN s.committed_offset IS NULL OR s.committed_offset < r.redriven_offset THEN 'pending'
            WHEN s.skipped = 0 THEN 'duplicate' WHEN s.duplicate = 0 THEN 'skipped' ELSE 'duplicate or skipped' END AS became,
       r.redriven_as, r.redriven_offset, r.discarded_at
FROM acctflow.rejects r
LEFT JOIN acctflow.pipelines p ON p.pipeline = r.pipeline
LEFT JOIN acctflow.sources s ON s.name = r.redriven_as
LEFT JOIN (SELECT q.source, h.source_offset, h.applied, NULL AS kind
           FROM acctflow.pipelines q
           JOIN acctflow.inputs i ON i.name = q.source
           JOIN acctflow.history h ON h.pipeline = q.pipeline AND h.ingested_at BETWEEN i.started_at - interval '1 hour' AND q.ingested_at
           WHERE q.source IN (SELECT redriven_as FROM acctflow.rejects WHERE redriven_as IS NOT NULL)
           UNION ALL
           SELECT q.source, x.source_offset, NULL AS applied, x.kind
           FROM acctflow.pipelines q
           JOIN acctflow.rejects x ON x.pipeline = q.pipeline
           WHERE q.source IN (SELECT redriven_as FROM acctflow.rejects WHERE redriven_as IS NOT NULL)) u
       ON u.source = r.redriven_as AND u.source_offset = r.redriven_offset;

-- A row a lease. Its token and offsets are there once the source was begun.
CREATE VIEW acctflow.fleet AS
SELECT l.source, l.shard, i.shards, l.machine AS owner, p.token, m.until, l.wanted_by, l.changed_at, l.done_at,
       p.committed_offset, d.delivered_offset, l.lag
FROM acctflow.leases l
LEFT JOIN acctflow.machines m ON m.machine = l.machine
LEFT JOIN acctflow.inputs i ON i.name = l.source
LEFT JOIN acctflow.pipelines p ON p.source = l.source AND p.shard = l.shard
LEFT JOIN acctflow.deliveries d ON d.pipeline = p.pipeline;
