-- The version that each of these accounts had before the source's record at that offset: what is told again after a
-- crash names the versions that were current then.
SELECT k.id, p.version
FROM unnest($1::text[], $2::bigint[]) AS k (id, source_offset)
CROSS JOIN LATERAL (SELECT u.version FROM acctflow.account_updates u
                    WHERE u.id = k.id AND u.applied AND (u.source IS DISTINCT FROM $3 OR u.source_offset < k.source_offset)
                    ORDER BY u.version DESC LIMIT 1) p
