DROP VIEW IF EXISTS acctflow.accounts, acctflow.account_updates, acctflow.callbacks, acctflow.rejected_updates, acctflow.sources,
    acctflow.source_shards, acctflow.fleet
;
DROP FUNCTION IF EXISTS acctflow.accounts_at, acctflow.source_moment, acctflow.accounts_diff, acctflow.moment_known, acctflow.changes, acctflow.changes_line, acctflow.account_history, acctflow.tops_divide, acctflow.tops_new, acctflow.tops_take,
    acctflow.tops_follow, acctflow.richest_at
