SELECT id, version FROM acctflow.accounts WHERE id = ANY ($1::text[])
