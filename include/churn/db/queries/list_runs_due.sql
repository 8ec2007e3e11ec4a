-- A run is due once an extract with outcomes was admitted for a day at or after the end of its horizon.
SELECT runs.*
FROM churn.scoring_runs AS runs
LEFT JOIN monitoring.realised_performance AS settled
    ON settled.scoring_run_id = runs.scoring_run_id AND settled.horizon_days = %(horizon_days)s
WHERE runs.published_at IS NOT NULL
  AND runs.scores_dropped_at IS NULL
  AND settled.scoring_run_id IS NULL
  AND EXISTS (
      SELECT FROM churn.snapshots
      WHERE snapshots.snapshot_date >= runs.snapshot_date + %(horizon_days)s::integer
        AND EXISTS (
            SELECT FROM churn.customer_history AS history
            WHERE history.extract_id = snapshots.extract_id AND history.churned IS NOT NULL
        )
  )
ORDER BY runs.snapshot_date, runs.scoring_run_id
