INSERT INTO churn.promotions (decision, model_version, previous_version, reason, evidence, policy)
VALUES (%(decision)s, %(model_version)s, %(previous_version)s, %(reason)s, %(evidence)s, %(policy)s)
RETURNING promotion_id
