-- One row of the log is one answer; the first of each request stands for the request.
SELECT
    route,
    model_version,
    count(*) AS request_count,
    count(*) FILTER (WHERE status BETWEEN 400 AND 499) AS refused_count,
    count(*) FILTER (WHERE status >= 500) AS error_count,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) AS p50_milliseconds,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY milliseconds) AS p95_milliseconds,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY milliseconds) AS p99_milliseconds
FROM churn.api_requests
WHERE row_number = 0 AND at > now() - make_interval(hours => %(hours)s)
GROUP BY route, model_version
ORDER BY request_count DESC
