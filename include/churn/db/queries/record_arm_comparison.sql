INSERT INTO monitoring.arm_comparisons (
    challenger_version, design, horizon_days, production_count, challenger_count, production_auc, challenger_auc,
    auc_difference, auc_difference_low, auc_difference_high, production_profit, challenger_profit, fallback_count
)
VALUES (
    %(challenger_version)s, %(design)s, %(horizon_days)s, %(production_count)s, %(challenger_count)s,
    %(production_auc)s, %(challenger_auc)s, %(auc_difference)s, %(auc_difference_low)s, %(auc_difference_high)s,
    %(production_profit)s, %(challenger_profit)s, %(fallback_count)s
)
ON CONFLICT (challenger_version, design, horizon_days) DO UPDATE SET
    production_count = excluded.production_count,
    challenger_count = excluded.challenger_count,
    production_auc = excluded.production_auc,
    challenger_auc = excluded.challenger_auc,
    auc_difference = excluded.auc_difference,
    auc_difference_low = excluded.auc_difference_low,
    auc_difference_high = excluded.auc_difference_high,
    production_profit = excluded.production_profit,
    challenger_profit = excluded.challenger_profit,
    fallback_count = excluded.fallback_count,
    compared_at = now()
