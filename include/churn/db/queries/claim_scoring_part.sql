UPDATE churn.scoring_parts
SET attempt = attempt + CASE WHEN finished_at IS NULL THEN 1 ELSE 0 END,
    worker = CASE WHEN finished_at IS NULL THEN %(worker)s ELSE worker END,
    claimed_at = CASE WHEN finished_at IS NULL THEN now() ELSE claimed_at END
WHERE scoring_run_id = %(scoring_run_id)s AND part_number = %(part_number)s
RETURNING *
