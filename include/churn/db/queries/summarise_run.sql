-- Keys are unique on both sides, so equal counts and equal sums of hashes mean the same customers.
WITH scored AS (
    SELECT count(*) AS row_count, bit_xor(hashtextextended(customer_id, 0)) AS keys,
           min(churn_probability) AS lowest, max(churn_probability) AS highest, avg(churn_probability) AS mean
    FROM churn.scores
    WHERE scoring_run_id = %(scoring_run_id)s
),
snapshot AS (
    SELECT count(*) AS customer_count, bit_xor(hashtextextended(customer_id, 0)) AS keys
    FROM churn.customer_history
    WHERE extract_id = %(extract_id)s
)
SELECT row_count, customer_count, row_count = customer_count AND scored.keys IS NOT DISTINCT FROM snapshot.keys
       AS same_customers, lowest, highest, mean
FROM scored, snapshot
