SELECT EXISTS (
    SELECT FROM churn.scoring_runs AS mine
    JOIN churn.scoring_runs AS newer USING (snapshot_date)
    WHERE mine.scoring_run_id = %(scoring_run_id)s
      AND newer.scoring_run_id > mine.scoring_run_id
      AND newer.published_at IS NOT NULL
) AS overtaken
