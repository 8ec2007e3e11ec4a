-- The cuts are the smallest probability of the k-th percent, k = 1 to 99. The parts know how many rows there are, so one
-- scan is enough; half a place keeps the rounding of k * n / 100 away.
UPDATE churn.scoring_runs AS runs
SET state = 'scored',
    scored_at = now(),
    scored_count = loaded.row_count,
    mean_probability = loaded.mean_probability,
    percentile_cuts = loaded.cuts
FROM (
    SELECT
        count(*) AS row_count,
        avg(churn_probability) AS mean_probability,
        percentile_disc((
            SELECT array_agg((k * n / 100 + 0.5)::double precision / n ORDER BY k)
            FROM generate_series(1, 99) AS k,
                 (SELECT greatest(sum(row_count), 1)::bigint AS n
                  FROM churn.scoring_parts WHERE scoring_run_id = %(scoring_run_id)s) AS counted
        )) WITHIN GROUP (ORDER BY churn_probability) AS cuts
    FROM {scores}
) AS loaded
WHERE runs.scoring_run_id = %(scoring_run_id)s
