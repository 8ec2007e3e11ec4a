SELECT *
FROM churn.scoring_parts
WHERE scoring_run_id = %(scoring_run_id)s
ORDER BY part_number
