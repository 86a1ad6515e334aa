-- The next accounts behind an id.
SELECT id FROM acctflow.latest WHERE id > $1 ORDER BY id LIMIT 1000
