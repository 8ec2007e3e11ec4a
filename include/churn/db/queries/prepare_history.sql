SELECT churn.prepare_history(%(extract_id)s) AS table_name
