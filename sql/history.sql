-- All that is known of an account, oldest version first; `changed` names the members of `data` that differ from the
-- version it superseded.
SELECT u.id, u.version, u.deleted, u.account_type AS "accountType", u.tokens,
       u.callback_time_ms AS "callbackTimeMs", u.data,
       to_char(u.ingested_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "ingestedAt",
       to_char(c.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "dueAt",
       CASE WHEN u.applied THEN c.state ELSE 'stale' END AS state,
       to_char(c.settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "settledAt",
       CASE WHEN p.data IS NOT NULL THEN
           (SELECT coalesce(json_agg(k ORDER BY k), '[]'::json)
            FROM jsonb_each(CASE jsonb_typeof(p.data::jsonb) WHEN 'object' THEN p.data::jsonb ELSE jsonb_build_object('', p.data::jsonb) END) a (k, v)
            FULL JOIN jsonb_each(CASE jsonb_typeof(u.data::jsonb) WHEN 'object' THEN u.data::jsonb ELSE jsonb_build_object('', u.data::jsonb) END) b (k, v)
            USING (k) WHERE a.v IS DISTINCT FROM b.v)
       END AS changed,
       u.source, u.source_offset AS "offset"
FROM acctflow.account_updates u
LEFT JOIN acctflow.callbacks c ON c.id = u.id AND c.version = u.version
LEFT JOIN LATERAL (SELECT data FROM acctflow.account_updates p
                   WHERE p.id = u.id AND p.applied AND p.version < u.version ORDER BY p.version DESC LIMIT 1) p ON u.applied
WHERE u.id = $1
ORDER BY u.version
