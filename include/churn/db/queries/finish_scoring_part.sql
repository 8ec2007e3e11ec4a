-- Only the attempt that claimed the part last, and only while the run is open.
UPDATE churn.scoring_parts AS part
SET finished_at = clock_timestamp(),
    engine = %(engine)s,
    model_digest = %(model_digest)s,
    row_count = %(row_count)s,
    carried_count = %(carried_count)s,
    unknown_counts = %(unknown_counts)s,
    explained_from = %(explained_from)s
FROM churn.scoring_runs AS run
WHERE part.scoring_run_id = %(scoring_run_id)s AND part.part_number = %(part_number)s
  AND part.attempt = %(attempt)s AND part.finished_at IS NULL
  AND run.scoring_run_id = part.scoring_run_id AND run.state = 'open'
RETURNING part.*
