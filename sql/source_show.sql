-- Where a source stands. committed is the most that any lane has. What is pending is counted only where that decides: for
-- it all accounts are looked at, and a source that goes on is not to wait for that.
SELECT s.name AS source, t.token, t.committed, s.delivered_offset AS delivered, s.complete, p.pending, coalesce(p.pending = 0, false) AS done,
       s.seed, s.arrival, s.delay_ms AS "delayMs", s.speed, s.clock,
       CASE s.clock WHEN 'virtual' THEN to_char(s.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END AS epoch, s.fingerprint,
       to_char(s.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "startedAt"
FROM acctflow.sources s
CROSS JOIN LATERAL (SELECT max(token) AS token, max(committed_offset) AS committed FROM acctflow.source_lanes WHERE name = s.name) t
CROSS JOIN LATERAL (SELECT CASE WHEN s.complete AND t.committed IS NOT DISTINCT FROM s.delivered_offset
                           THEN (SELECT count(*) FROM acctflow.accounts a
                                 WHERE a.source = s.name
                                   AND NOT EXISTS (SELECT FROM acctflow.callbacks_fired f WHERE f.id = a.id AND f.version = a.version))
                           END AS pending) p
WHERE s.name = $1
