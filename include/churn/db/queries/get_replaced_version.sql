-- Whom the serving version replaced when it came to serve last.
SELECT previous_version
FROM churn.promotions
WHERE model_version = %(model_version)s AND decision IN ('promoted', 'rolled_back')
ORDER BY promotion_id DESC
LIMIT 1
