SELECT churn.withdraw_reasons(%(scoring_run_id)s, %(before)s)
