-- Runs whose scores nobody needs any more. Published ones count by their day, the others by when they were opened.
SELECT runs.*
FROM churn.scoring_runs AS runs
WHERE runs.scores_dropped_at IS NULL
  AND runs.state IN ('published', 'rejected', 'superseded', 'checked')
  AND (runs.state <> 'checked' OR runs.mode = 'shadow')
  AND CASE
      WHEN runs.state = 'published' THEN
          runs.snapshot_date < (SELECT max(snapshot_date) FROM churn.scoring_runs WHERE state = 'published')
                               - %(scores_kept_days)s::integer
      ELSE runs.opened_at < now() - make_interval(days => %(unpublished_kept_days)s::integer)
  END
  AND NOT EXISTS (
      SELECT FROM churn.current_scoring_run
      JOIN churn.scoring_runs AS shown USING (scoring_run_id)
      WHERE runs.scoring_run_id IN (shown.scoring_run_id, shown.compared_run_id)
  )
  AND NOT EXISTS (
      SELECT FROM churn.scoring_runs AS unfinished
      WHERE unfinished.base_run_id = runs.scoring_run_id AND unfinished.state = 'open'
  )
ORDER BY runs.scoring_run_id
