-- Each account type of a source, with the account that had the most tokens at the end, of equal ones the first by its id; how
-- many had as many.
WITH u AS (
    SELECT u.id, u.version, u.deleted, u.account_type, u.tokens
    FROM acctflow.history u JOIN acctflow.pipelines p ON p.pipeline = u.pipeline WHERE p.source = $1
), final AS (
    SELECT DISTINCT ON (id) id, version, deleted, account_type, tokens FROM u ORDER BY id, version DESC
), placed AS (
    SELECT account_type, id, version, tokens, rank() OVER (PARTITION BY account_type ORDER BY tokens DESC) AS place,
           count(*) OVER (PARTITION BY account_type) AS accounts
    FROM final WHERE NOT deleted
), first AS (
    SELECT DISTINCT ON (account_type) *, count(*) OVER (PARTITION BY account_type) AS equal FROM placed WHERE place = 1 ORDER BY account_type, id
)
SELECT t.account_type AS type, coalesce(f.accounts, 0) AS accounts, f.id, f.tokens::text, f.version::text, f.equal
FROM (SELECT DISTINCT account_type FROM u WHERE account_type IS NOT NULL) t
LEFT JOIN first f ON f.account_type = t.account_type
ORDER BY t.account_type
