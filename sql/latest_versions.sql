-- The versions of accounts whose update was not newer.
SELECT id, version FROM acctflow.latest WHERE id = ANY ($1::text[])
