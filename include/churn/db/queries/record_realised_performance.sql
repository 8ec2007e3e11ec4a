INSERT INTO monitoring.realised_performance (
    scoring_run_id, horizon_days, snapshot_date, model_version, outcome_count, churn_rate, mean_probability,
    roc_auc, roc_auc_low, roc_auc_high, brier, calibration_error, lift_10
)
VALUES (
    %(scoring_run_id)s, %(horizon_days)s, %(snapshot_date)s, %(model_version)s, %(outcome_count)s, %(churn_rate)s,
    %(mean_probability)s, %(roc_auc)s, %(roc_auc_low)s, %(roc_auc_high)s, %(brier)s, %(calibration_error)s,
    %(lift_10)s
)
ON CONFLICT (scoring_run_id, horizon_days) DO NOTHING
