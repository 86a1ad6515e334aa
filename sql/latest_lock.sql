SELECT version FROM acctflow.latest WHERE id = $1 FOR UPDATE
