-- The version that each of these accounts had before the pipeline's record at that offset: what is replayed after a crash
-- names the versions that were current then. Where prune removed those, the lowest that is left.
SELECT k.id,
       coalesce((SELECT u.version FROM acctflow.history u
                 WHERE u.id = a.id AND u.applied AND (u.pipeline IS DISTINCT FROM $3::integer OR u.source_offset < k.source_offset)
                 ORDER BY u.version DESC LIMIT 1),
                (SELECT min(u.version) FROM acctflow.history u WHERE u.id = a.id AND u.applied))
FROM (SELECT unnest($1::text[]) AS id, unnest($2::bigint[]) AS source_offset) k
JOIN acctflow.latest a ON a.id = k.id
