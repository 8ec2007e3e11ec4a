SELECT churn.withdraw_reasons(%(scoring_run_id)s, %(from_probability)s, %(before_probability)s)
