-- The cut is by a hash, so that no hour of the window is cut off. What was shadow-scored was answered once, and a
-- what-if of the page is about nobody.
SELECT inputs, churn_probability
FROM churn.api_requests
WHERE at >= now() - make_interval(secs => %(seconds)s)
  AND inputs IS NOT NULL
  AND arm IS DISTINCT FROM 'shadow'
  AND route <> '/what-if'
  AND (%(model_version)s::integer IS NULL OR model_version = %(model_version)s)
ORDER BY hashtextextended(request_id, %(seed)s), row_number
LIMIT %(count)s
