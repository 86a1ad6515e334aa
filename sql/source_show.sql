-- Where a source stands. committed is the most that any lane has.
SELECT s.name AS source, t.token, t.committed, s.delivered_offset AS delivered, s.complete, p.pending,
       s.complete AND t.committed IS NOT DISTINCT FROM s.delivered_offset AND p.pending = 0 AS done,
       s.seed, s.arrival, s.delay_ms AS "delayMs", s.speed, s.clock,
       CASE s.clock WHEN 'virtual' THEN to_char(s.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END AS epoch, s.fingerprint,
       to_char(s.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "startedAt"
FROM acctflow.sources s
CROSS JOIN LATERAL (SELECT max(token) AS token, max(committed_offset) AS committed FROM acctflow.source_lanes WHERE name = s.name) t
CROSS JOIN LATERAL (SELECT count(*) AS pending FROM acctflow.accounts a
                    WHERE a.source = s.name
                      AND NOT EXISTS (SELECT FROM acctflow.callbacks_fired f WHERE f.id = a.id AND f.version = a.version)) p
WHERE s.name = $1
