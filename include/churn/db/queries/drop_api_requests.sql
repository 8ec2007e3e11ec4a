SELECT churn.drop_api_requests((now() AT TIME ZONE 'UTC')::date - %(kept_days)s::integer) AS dropped_count
