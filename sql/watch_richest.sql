-- The highest-token accounts, some of each of some types; another pass over the accounts.
SELECT coalesce(jsonb_agg(jsonb_build_object('accountType', account_type, 'id', id, 'tokens', tokens::text, 'version', version)
                          ORDER BY account_type, id)::text, '[]') AS richest
FROM (SELECT a.account_type, a.id, a.tokens, a.version, row_number() OVER (PARTITION BY a.account_type ORDER BY a.id) AS place
      FROM (SELECT account_type, max(tokens) AS tokens FROM acctflow.accounts GROUP BY account_type ORDER BY 2 DESC LIMIT 50) m
      JOIN acctflow.accounts a ON a.account_type = m.account_type AND a.tokens = m.tokens) r
WHERE place <= 3
