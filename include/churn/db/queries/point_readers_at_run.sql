-- A backfill of an older date is published for its date without taking today's table from the readers.
INSERT INTO churn.current_scoring_run AS pointer (scoring_run_id)
VALUES (%(scoring_run_id)s)
ON CONFLICT (only_row) DO UPDATE SET scoring_run_id = excluded.scoring_run_id, moved_at = now()
WHERE (SELECT snapshot_date FROM churn.scoring_runs WHERE scoring_run_id = excluded.scoring_run_id)
   >= (SELECT snapshot_date FROM churn.scoring_runs WHERE scoring_run_id = pointer.scoring_run_id)
