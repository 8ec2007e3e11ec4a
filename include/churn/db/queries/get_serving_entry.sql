-- Since when a version serves, the digest that was approved, and what was held out when the gate first judged it.
SELECT
    (extract(epoch FROM now() - decided_at) / 86400)::float8 AS age_days,
    evidence ->> 'digest' AS digest,
    (SELECT (policy ->> 'holdout_rate')::float8 FROM churn.promotions
     WHERE model_version = %(model_version)s ORDER BY promotion_id LIMIT 1) AS holdout_rate
FROM churn.promotions
WHERE model_version = %(model_version)s AND decision IN ('promoted', 'rolled_back')
ORDER BY promotion_id DESC
LIMIT 1
