-- An account's versions, the latest last, how many bytes each has without the indexes, and whether the events of each were acknowledged.
SELECT u.id, u.version, u.pipeline, 72 + pg_column_size(u.id) + pg_column_size(u.data) + coalesce(pg_column_size(u.account_type), 0),
       u.pipeline IS NULL OR u.source_offset IS NULL OR u.source_offset <= coalesce(d.delivered_offset, -1) AS past
FROM acctflow.history u
LEFT JOIN acctflow.deliveries d ON d.pipeline = u.pipeline
WHERE u.id = $1
ORDER BY u.version
