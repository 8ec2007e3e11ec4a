SELECT scoring_run_id, snapshot_date, model_version, percentile_cuts, published_at
FROM serving.published_run
