-- All that is known of an account, oldest version first; `changed` names the members of `data` that differ from the
-- version it superseded. It is the view callbacks written out, each table asked for the account by itself, and the
-- pipeline's name looked up behind it: so Citus runs the inner query on one shard as it stands.
WITH u AS MATERIALIZED (
    SELECT u.*, n.ingested_at AS superseded_at, o.failed, o.settled_at,
           CASE WHEN p.data IS NOT NULL THEN
               (SELECT coalesce(json_agg(k ORDER BY k), '[]'::json)
                FROM jsonb_each(CASE jsonb_typeof(p.data::jsonb) WHEN 'object' THEN p.data::jsonb ELSE jsonb_build_object('', p.data::jsonb) END) a (k, v)
                FULL JOIN jsonb_each(CASE jsonb_typeof(u.data::jsonb) WHEN 'object' THEN u.data::jsonb ELSE jsonb_build_object('', u.data::jsonb) END) b (k, v)
                USING (k) WHERE a.v IS DISTINCT FROM b.v)
           END AS changed
    FROM acctflow.history u
    LEFT JOIN acctflow.outcomes o ON o.id = $1 AND o.version = u.version
    LEFT JOIN LATERAL (SELECT n.ingested_at FROM acctflow.history n
                       WHERE n.id = $1 AND n.version > u.version AND n.applied ORDER BY n.version LIMIT 1) n ON true
    LEFT JOIN LATERAL (SELECT n.data FROM acctflow.history n
                       WHERE n.id = $1 AND n.version < u.version AND n.applied ORDER BY n.version DESC LIMIT 1) p ON u.applied
    WHERE u.id = $1
)
SELECT u.id, u.version, u.deleted, u.account_type AS "accountType", u.tokens,
       u.callback_time_ms AS "callbackTimeMs", u.data,
       to_char(u.ingested_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "ingestedAt",
       to_char(c.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "dueAt",
       CASE WHEN NOT u.applied THEN 'stale' WHEN u.callback_time_ms IS NULL THEN NULL WHEN u.failed THEN 'failed'
            WHEN u.settled_at IS NOT NULL THEN 'fired' WHEN u.superseded_at IS NOT NULL THEN 'cancelled' ELSE 'pending' END AS state,
       to_char(c.settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "settledAt",
       u.changed, s.source, u.source_offset AS "offset"
FROM u
LEFT JOIN acctflow.pipelines s ON s.pipeline = u.pipeline
LEFT JOIN LATERAL (SELECT coalesce(u.due_at, u.ingested_at + u.callback_time_ms * interval '1 millisecond') AS due_at,
                          coalesce(u.settled_at, u.superseded_at) AS settled_at) c
       ON u.applied AND u.callback_time_ms IS NOT NULL
ORDER BY u.version
