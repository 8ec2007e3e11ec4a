UPDATE churn.scoring_runs AS mine
SET state = 'published',
    published_at = now(),
    closed_at = NULL,
    compared_run_id = (
        SELECT before.scoring_run_id
        FROM churn.scoring_runs AS before
        WHERE before.state = 'published' AND before.snapshot_date < mine.snapshot_date
          AND before.scores_dropped_at IS NULL
        ORDER BY before.snapshot_date DESC
        LIMIT 1
    )
WHERE mine.scoring_run_id = %(scoring_run_id)s
