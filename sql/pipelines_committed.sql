-- Whether the transaction of that number was the last one to advance the pipeline; an error as long as one is under way. The
-- number alone would say nothing: a server that crashed may give it again, and another node has numbers of its own.
SELECT xid IS NOT DISTINCT FROM $2::xid8 FROM acctflow.pipelines WHERE pipeline = $1::integer FOR UPDATE NOWAIT
