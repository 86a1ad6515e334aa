-- By hand a source is read from where the reader says, not from where it was left.
UPDATE acctflow.deliveries SET delivered_offset = NULL WHERE pipeline = $1::integer
