COPY acctflow.history
    (id, version, callback_time_ms, ingested_at, source_offset, applied, deleted, tokens, account_type, trace, data, due_at, pipeline)
FROM STDIN (FORMAT binary)
