-- What the gate, or a person after it, said yes to last about a version.
SELECT promotion_id, decision, model_version, previous_version, reason, evidence
FROM churn.promotions
WHERE model_version = %(model_version)s AND decision IN ('proposed', 'promoted')
ORDER BY promotion_id DESC
LIMIT 1
