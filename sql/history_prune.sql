DELETE FROM acctflow.history u USING (SELECT unnest($1::text[]) AS id, unnest($2::bigint[]) AS version) k
WHERE u.id = k.id AND u.version = k.version
RETURNING NULL
