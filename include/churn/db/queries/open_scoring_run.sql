INSERT INTO churn.scoring_runs
    (extract_id, snapshot_date, model_version, model_digest, policy, mode, base_run_id, customer_count)
SELECT extract_id, snapshot_date, %(model_version)s, %(model_digest)s, %(policy)s, %(mode)s, %(base_run_id)s,
       admitted_count
FROM churn.extracts
WHERE extract_id = %(extract_id)s
RETURNING *
