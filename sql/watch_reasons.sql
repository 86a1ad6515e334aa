-- Rejects by what was wrong, in a small closed set of names: the member, or the record as a whole. Conflicts are counted
-- apart.
SELECT coalesce(sum(n) FILTER (WHERE reason = 'id'), 0)::bigint AS "rejected.id",
       coalesce(sum(n) FILTER (WHERE reason = 'accountType'), 0)::bigint AS "rejected.accountType",
       coalesce(sum(n) FILTER (WHERE reason = 'tokens'), 0)::bigint AS "rejected.tokens",
       coalesce(sum(n) FILTER (WHERE reason = 'callbackTimeMs'), 0)::bigint AS "rejected.callbackTimeMs",
       coalesce(sum(n) FILTER (WHERE reason = 'version'), 0)::bigint AS "rejected.version",
       coalesce(sum(n) FILTER (WHERE reason = 'arriveMs'), 0)::bigint AS "rejected.arriveMs",
       coalesce(sum(n) FILTER (WHERE reason = 'json'), 0)::bigint AS "rejected.json",
       coalesce(sum(n) FILTER (WHERE reason = 'refused'), 0)::bigint AS "rejected.refused",
       coalesce(sum(n) FILTER (WHERE reason = 'other'), 0)::bigint AS "rejected.other"
FROM (SELECT CASE WHEN kind = 'refused' THEN kind
                  WHEN p IN ('id', 'accountType', 'tokens', 'callbackTimeMs', 'version', 'arriveMs') THEN p
                  WHEN p = 'not JSON' THEN 'json'
                  ELSE 'other' END AS reason, count(*) AS n
      FROM (SELECT kind, split_part(left(reason, 100), ':', 1) AS p FROM acctflow.rejects
            WHERE pipeline IS NOT NULL AND kind <> 'conflict') r
      GROUP BY 1) g
