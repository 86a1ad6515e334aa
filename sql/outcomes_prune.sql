DELETE FROM acctflow.outcomes o USING (SELECT unnest($1::text[]) AS id, unnest($2::bigint[]) AS version) k
WHERE o.id = k.id AND o.version = k.version
