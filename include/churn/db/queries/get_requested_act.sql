-- What was done under a request; `is_last` where Production was not moved since.
SELECT promotion_id, decision, model_version, previous_version, reason, evidence,
       NOT EXISTS (SELECT FROM churn.promotions later
                   WHERE later.promotion_id > done.promotion_id AND later.decision IN ('promoted', 'rolled_back'))
       AS is_last
FROM churn.promotions done
WHERE evidence ->> 'request' = %(request)s
ORDER BY promotion_id DESC
LIMIT 1
