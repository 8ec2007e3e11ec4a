-- Runs that hold, or will hold, what the extract was when they were opened.
SELECT *
FROM churn.scoring_runs
WHERE extract_id = %(extract_id)s
  AND state IN ('open', 'scored', 'checked', 'published')
  AND mode <> 'shadow'
ORDER BY scoring_run_id
