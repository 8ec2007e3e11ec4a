INSERT INTO churn.scoring_parts (scoring_run_id, part_number, from_key, before_key)
VALUES (%(scoring_run_id)s, %(part_number)s, %(from_key)s, %(before_key)s)
