-- The middle of each number, and the bills that are far from tenure x MonthlyCharges.
SELECT {quartiles},
    count(*) FILTER (
        WHERE abs(total_charges - tenure * monthly_charges)
            > greatest(%(slack)s, %(rate)s * tenure * monthly_charges)
    ) AS doubtful_count
FROM churn.customer_history
WHERE extract_id = %(extract_id)s
