-- A version is measured when it is the challenger, and again whenever a challenger is held against it. A decision on
-- evidence that lacks the measure tells nothing about it.
SELECT roc_auc
FROM churn.promotions
CROSS JOIN LATERAL (
    SELECT evidence -> CASE WHEN model_version = %(model_version)s THEN 'holdout' ELSE 'production_holdout' END
           -> 'roc_auc' AS roc_auc
) AS measured
WHERE jsonb_typeof(roc_auc) = 'object'
    AND ((model_version = %(model_version)s AND decision IN ('promoted', 'proposed'))
        OR (previous_version = %(model_version)s AND decision IN ('kept', 'proposed')))
ORDER BY promotion_id DESC
LIMIT 1
