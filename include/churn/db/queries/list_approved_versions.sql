SELECT DISTINCT ON (model_version) model_version, evidence ->> 'digest' AS digest
FROM churn.promotions
WHERE decision = 'promoted'
ORDER BY model_version, promotion_id DESC
