DELETE FROM acctflow.tops WHERE id = $1
