-- BERNOULLI chooses row by row; SYSTEM would take whole pages and be biased. A fifth more than asked for is drawn, so
-- that the sample is rarely short, and cut by a hash, so that no end of the table is cut off.
SELECT {columns}, scores.churn_probability
FROM (
    SELECT *
    FROM churn.customer_history
    TABLESAMPLE BERNOULLI (
        (SELECT least(100, 120.0 * %(count)s / greatest(admitted_count, 1))
         FROM churn.extracts WHERE extract_id = %(extract_id)s)
    ) REPEATABLE (%(seed)s)
    WHERE extract_id = %(extract_id)s
    ORDER BY hashtextextended(customer_id, %(seed)s)
    LIMIT %(count)s
) AS history
LEFT JOIN churn.scores AS scores
    ON scores.scoring_run_id = %(scoring_run_id)s AND scores.customer_id = history.customer_id
