UPDATE churn.scoring_runs AS runs
SET state = 'scored',
    scored_at = now(),
    scored_count = loaded.row_count,
    mean_probability = loaded.mean_probability,
    percentile_cuts = churn.percentile_cuts(%(scoring_run_id)s)
FROM (
    SELECT count(*) AS row_count, avg(churn_probability) AS mean_probability
    FROM churn.scores
    WHERE scoring_run_id = %(scoring_run_id)s
) AS loaded
WHERE runs.scoring_run_id = %(scoring_run_id)s
