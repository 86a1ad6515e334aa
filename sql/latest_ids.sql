-- The account of that id, or the first four whose ids begin so.
SELECT l.id FROM acctflow.latest l
WHERE l.id = $1 OR (l.id >= $1 AND l.id < $1 || chr(1114111) AND NOT EXISTS (SELECT FROM acctflow.latest e WHERE e.id = $1))
ORDER BY l.id LIMIT 4
