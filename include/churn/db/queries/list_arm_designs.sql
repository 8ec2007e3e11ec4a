SELECT DISTINCT
    CASE WHEN arm = 'shadow' THEN model_version ELSE challenger_version END AS challenger_version,
    CASE WHEN arm = 'shadow' THEN 'shadow' ELSE 'split' END AS design
FROM churn.api_requests
WHERE arm IN ('challenger', 'shadow')
ORDER BY challenger_version, design
