-- One row a source. fired and cancelled follow from the outcomes (see the view callbacks).
WITH fired AS (
    SELECT u.source, count(*) AS n FROM acctflow.callbacks_fired f
    JOIN acctflow.account_updates u ON u.id = f.id AND u.version = f.version GROUP BY u.source
), pending AS (
    SELECT a.source, count(*) AS n FROM acctflow.accounts a
    WHERE NOT EXISTS (SELECT FROM acctflow.callbacks_fired f WHERE f.id = a.id AND f.version = a.version) GROUP BY a.source
)
SELECT s.name AS source, s.read, s.indexed, s.stale, s.duplicate, s.conflict, s.rejected,
       coalesce(f.n, 0) AS fired, s.indexed - coalesce(f.n, 0) - coalesce(p.n, 0) AS cancelled, coalesce(p.n, 0) AS pending,
       s.committed_offset AS committed, s.delivered_offset AS delivered, s.complete
FROM acctflow.sources s
LEFT JOIN fired f ON f.source = s.name
LEFT JOIN pending p ON p.source = s.name
WHERE $1::text IS NULL OR s.name = $1
ORDER BY s.name
