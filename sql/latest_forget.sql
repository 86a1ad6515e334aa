UPDATE acctflow.latest
SET deleted = true, account_type = NULL, tokens = NULL, callback_time_ms = NULL, data = 'null'
WHERE id = $1
