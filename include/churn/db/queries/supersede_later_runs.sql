UPDATE churn.scoring_runs AS later
SET state = 'superseded', closed_at = now()
FROM churn.scoring_runs AS mine
WHERE mine.scoring_run_id = %(scoring_run_id)s
  AND later.snapshot_date > mine.snapshot_date
  AND later.state = 'published'
