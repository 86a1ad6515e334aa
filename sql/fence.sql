-- Fences off whoever works on a pipeline, in the transaction of a migration that their programs do not work with.
UPDATE acctflow.deliveries SET token = token + 1;
UPDATE acctflow.pipelines SET token = token + 1
