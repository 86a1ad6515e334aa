DROP VIEW IF EXISTS acctflow.accounts, acctflow.account_updates, acctflow.callbacks, acctflow.rejected_updates, acctflow.sources,
    acctflow.source_shards, acctflow.fleet
