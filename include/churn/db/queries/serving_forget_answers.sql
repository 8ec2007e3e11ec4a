DELETE FROM serving.kept_answers
WHERE answered_at < now() - make_interval(hours => %(hours)s)
