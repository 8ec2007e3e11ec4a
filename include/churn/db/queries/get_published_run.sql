SELECT runs.*
FROM churn.scoring_runs AS runs
JOIN churn.current_scoring_run USING (scoring_run_id)
