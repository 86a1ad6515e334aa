-- One row a source, from what is kept of it: unlike status this looks at no account.
SELECT name AS source, shards, read, indexed, stale, duplicate, conflict, skipped, rejected,
       without_callback AS "withoutCallback", pruned, committed_offset AS committed, delivered_offset AS delivered, complete, broken
FROM acctflow.sources
WHERE $1::text IS NULL OR name = $1
ORDER BY name
