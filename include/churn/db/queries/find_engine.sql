SELECT *
FROM churn.engines
WHERE model_digest = %(model_digest)s AND engine_version = %(engine_version)s
