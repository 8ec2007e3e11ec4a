INSERT INTO churn.scoring_runs (extract_id, snapshot_date, model_version, model_digest, policy)
VALUES (%(extract_id)s, %(snapshot_date)s, %(model_version)s, %(model_digest)s, %(policy)s)
RETURNING scoring_run_id, extract_id, snapshot_date, model_version, model_digest, policy, state, customer_count, scored_count, published_at
