-- The first four accounts whose ids begin so; the account of that very id comes first.
SELECT l.id FROM acctflow.latest l WHERE l.id >= $1 AND l.id < $1 || chr(1114111) ORDER BY l.id LIMIT 4
