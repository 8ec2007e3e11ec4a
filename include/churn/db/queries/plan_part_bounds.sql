-- Keys that divide the snapshot into parts of about one size, from a sample; the same each time it is asked.
SELECT percentile_disc(%(fractions)s::double precision[]) WITHIN GROUP (ORDER BY customer_id) AS bounds
FROM churn.customer_history
TABLESAMPLE BERNOULLI (
    (SELECT least(100, 100.0 * 20000 / greatest(admitted_count, 1)) FROM churn.extracts WHERE extract_id = %(extract_id)s)
) REPEATABLE (1)
WHERE extract_id = %(extract_id)s
