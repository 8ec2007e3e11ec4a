INSERT INTO serving.kept_answers (caller, idempotency_key, request_digest, content_type, model_version, answer)
VALUES (%(caller)s, %(idempotency_key)s, %(request_digest)s, %(content_type)s, %(model_version)s, %(answer)s)
