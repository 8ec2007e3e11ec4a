SELECT runs.*
FROM churn.scoring_runs AS runs
WHERE runs.state = 'published'
  AND runs.scores_dropped_at IS NULL
  AND NOT EXISTS (SELECT FROM monitoring.score_groups WHERE score_groups.scoring_run_id = runs.scoring_run_id)
ORDER BY runs.scoring_run_id
