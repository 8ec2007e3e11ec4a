-- Of the same date: what readers saw until now, and whatever older run is still unfinished.
UPDATE churn.scoring_runs AS other
SET state = 'superseded', closed_at = now()
FROM churn.scoring_runs AS mine
WHERE mine.scoring_run_id = %(scoring_run_id)s
  AND other.scoring_run_id <> mine.scoring_run_id
  AND other.snapshot_date = mine.snapshot_date
  AND other.mode <> 'shadow'
  AND (other.state = 'published'
       OR other.state IN ('open', 'scored', 'checked') AND other.scoring_run_id < mine.scoring_run_id)
