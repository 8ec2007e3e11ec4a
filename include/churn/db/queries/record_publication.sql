INSERT INTO churn.publications (scoring_run_id, previous_run_id, action, reason)
SELECT %(scoring_run_id)s, (SELECT scoring_run_id FROM churn.current_scoring_run), %(action)s, %(reason)s
