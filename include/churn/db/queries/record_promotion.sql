INSERT INTO churn.promotions (decision, model_version, previous_version, reason, evidence, policy, decided_by)
VALUES (%(decision)s, %(model_version)s, %(previous_version)s, %(reason)s, %(evidence)s, %(policy)s,
        coalesce(%(decided_by)s, session_user))
RETURNING promotion_id
