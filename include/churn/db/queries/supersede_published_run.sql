UPDATE churn.scoring_runs AS older SET state = 'superseded', closed_at = now()
FROM churn.scoring_runs AS newer
WHERE newer.scoring_run_id = %(scoring_run_id)s
  AND older.snapshot_date = newer.snapshot_date
  AND older.state = 'published'
