COPY acctflow.account_updates
    (id, version, callback_time_ms, ingested_at, source_offset, applied, tokens, account_type, source, trace, data)
FROM STDIN (FORMAT binary)
