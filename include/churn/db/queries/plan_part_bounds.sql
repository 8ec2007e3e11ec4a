-- Keys that divide the snapshot into parts of about one size, from a sample of its pages; the same each time it is asked.
-- SYSTEM reads only those: their rows may resemble each other, which makes the sizes of the parts less even at worst.
SELECT percentile_disc(%(fractions)s::double precision[]) WITHIN GROUP (ORDER BY customer_id) AS bounds
FROM churn.customer_history
TABLESAMPLE SYSTEM (
    (SELECT least(100, 100.0 * 20000 / greatest(admitted_count, 1)) FROM churn.extracts WHERE extract_id = %(extract_id)s)
) REPEATABLE (1)
WHERE extract_id = %(extract_id)s
