-- What the gate measured of each version on rows that it had not seen, beside what the latest settled night of that
-- version came to.
SELECT
    judged.model_version,
    judged.decision,
    judged.holdout -> 'roc_auc' AS holdout_auc,
    (judged.holdout ->> 'calibration_error')::double precision AS holdout_calibration_error,
    realised.snapshot_date AS settled_date,
    realised.outcome_count,
    realised.roc_auc,
    realised.roc_auc_low,
    realised.roc_auc_high,
    realised.calibration_error
FROM (
    SELECT DISTINCT ON (model_version) model_version, decision, evidence -> 'holdout' AS holdout
    FROM churn.promotions
    WHERE decision <> 'rolled_back' AND jsonb_typeof(evidence -> 'holdout' -> 'roc_auc') = 'object'
    ORDER BY model_version, promotion_id DESC
) AS judged
LEFT JOIN LATERAL (
    SELECT snapshot_date, outcome_count, roc_auc, roc_auc_low, roc_auc_high, calibration_error
    FROM monitoring.realised_performance
    WHERE realised_performance.model_version = judged.model_version
    ORDER BY snapshot_date DESC, scoring_run_id DESC
    LIMIT 1
) AS realised ON true
ORDER BY judged.model_version DESC
