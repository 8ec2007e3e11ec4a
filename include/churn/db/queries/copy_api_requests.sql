COPY churn.api_requests (
    at, request_id, row_number, route, status, milliseconds, key_id, arm, model_version, challenger_version,
    customer_id, inputs, churn_probability, risk_level, problem
) FROM STDIN
