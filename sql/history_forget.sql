-- The latest version stays as a delete without contents: it guards its version, and every account has its latest one here.
UPDATE acctflow.history
SET deleted = true, account_type = NULL, tokens = NULL, callback_time_ms = NULL, data = 'null', trace = NULL, due_at = NULL
WHERE id = $1 AND version = $2::bigint
