SELECT
    count(*) AS row_count,
    (SELECT count(*)
     FROM churn.customer_history AS history
     WHERE history.extract_id = %(extract_id)s
       AND NOT EXISTS (
           SELECT FROM churn.scores AS scored
           WHERE scored.scoring_run_id = %(scoring_run_id)s AND scored.customer_id = history.customer_id
       )) AS missing_count,
    min(churn_probability) AS lowest,
    max(churn_probability) AS highest,
    avg(churn_probability) AS mean
FROM churn.scores
WHERE scoring_run_id = %(scoring_run_id)s
