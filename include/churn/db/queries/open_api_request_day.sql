SELECT churn.open_api_request_day(%(day)s)
