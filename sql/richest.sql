-- Of each account type the accounts whose latest version is among the $2 with the most tokens; all that tie.
SELECT a.account_type AS "accountType", a.tokens, a.version, a.id, u.data
FROM (SELECT account_type, tokens, version, id, rank() OVER (PARTITION BY account_type ORDER BY tokens DESC) AS place
      FROM acctflow.accounts WHERE $1::text IS NULL OR account_type = $1) a
JOIN acctflow.account_updates u ON u.id = a.id AND u.version = a.version
WHERE a.place <= $2
ORDER BY a.account_type, a.place, a.id
