SELECT churn.attach_history(%(extract_id)s, %(table_name)s)
