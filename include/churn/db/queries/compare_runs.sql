SELECT
    count(*) AS customer_count,
    avg(shadow.churn_probability - shown.churn_probability) AS mean_difference,
    avg(abs(shadow.churn_probability - shown.churn_probability)) AS mean_absolute_difference,
    corr(shadow.churn_probability, shown.churn_probability) AS correlation,
    avg((shadow.decile <> shown.decile)::int)::double precision AS moved_decile_rate,
    avg((shadow.risk_level <> shown.risk_level)::int)::double precision AS changed_risk_level_rate
FROM churn.ranked_scores AS shadow
JOIN churn.ranked_scores AS shown
    ON shown.customer_id = shadow.customer_id AND shown.scoring_run_id = %(compared_run_id)s
WHERE shadow.scoring_run_id = %(scoring_run_id)s
