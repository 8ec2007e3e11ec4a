INSERT INTO monitoring.realised_deciles (
    scoring_run_id, horizon_days, decile, customer_count, mean_probability, churn_rate
)
VALUES (
    %(scoring_run_id)s, %(horizon_days)s, %(decile)s, %(customer_count)s, %(mean_probability)s, %(churn_rate)s
)
ON CONFLICT (scoring_run_id, horizon_days, decile) DO NOTHING
