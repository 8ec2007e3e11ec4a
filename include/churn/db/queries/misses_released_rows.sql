SELECT runs.customer_count <> extracts.admitted_count AS misses_rows
FROM churn.scoring_runs AS runs
JOIN churn.extracts USING (extract_id)
WHERE runs.scoring_run_id = %(scoring_run_id)s
