SELECT churn.forget_received_extract(%(extract_id)s)
