SELECT churn.add_history_partition(%(extract_id)s)
