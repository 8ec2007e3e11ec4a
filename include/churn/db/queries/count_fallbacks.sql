SELECT count(*) AS fallback_count
FROM churn.api_requests
WHERE challenger_version = %(challenger_version)s AND arm = 'fallback'
