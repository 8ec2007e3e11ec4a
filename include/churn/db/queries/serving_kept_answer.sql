SELECT request_digest, content_type, model_version, answer
FROM serving.kept_answers
WHERE caller = %(caller)s
  AND idempotency_key = %(idempotency_key)s
  AND answered_at >= now() - make_interval(hours => %(hours)s)
