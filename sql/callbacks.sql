-- Callbacks of a source ($1; null: of all) in a state ($2), pending and due within so many milliseconds from now ($3), or
-- later than so many behind their time ($4): settled so late, or pending still.
SELECT c.source, c.source_offset AS "offset", c.id, c.version, c.state,
       to_char(c.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "dueAt",
       to_char(c.settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "settledAt",
       CASE WHEN c.state <> 'cancelled' AND c.late > 0 THEN round(c.late)::bigint END AS "lateMs"
FROM (SELECT c.*, u.source, u.source_offset, extract(epoch FROM coalesce(c.settled_at, now()) - c.due_at) * 1000 AS late
      FROM acctflow.callbacks c
      JOIN acctflow.account_updates u ON u.id = c.id AND u.version = c.version) c
WHERE ($1::text IS NULL OR c.source = $1) AND ($2::text IS NULL OR c.state = $2)
  AND ($3::bigint IS NULL OR (c.state = 'pending' AND c.due_at <= now() + $3::bigint * interval '1 millisecond'))
  AND ($4::bigint IS NULL OR (c.state <> 'cancelled' AND c.late > $4::bigint))
ORDER BY c.due_at, c.id, c.version
