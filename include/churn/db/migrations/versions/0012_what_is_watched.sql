-- What Grafana shows: rollups that stay small whatever was asked and scored, and views that keep its queries short.
-- None of it holds a customer's row, id or field.

-- Requests ---------------------------------------------------------------------------------------------------

ALTER TABLE churn.api_requests ADD COLUMN problem text;  -- the last part of the problem document's type, if it was one
ALTER TABLE churn.api_log_batches
    ADD COLUMN limited_count bigint NOT NULL DEFAULT 0 CHECK (limited_count >= 0),  -- turned away: too many (429)
    ADD COLUMN denied_count bigint NOT NULL DEFAULT 0 CHECK (denied_count >= 0);    -- turned away: no key for it (401, 403)
CREATE INDEX api_log_batches_with_losses ON churn.api_log_batches (written_at)
    WHERE dropped_count > 0 OR limited_count > 0 OR denied_count > 0;

-- Milliseconds at which one bucket of durations ends and the next begins; bucket 0 ends at the first.
CREATE FUNCTION monitoring.latency_bounds() RETURNS double precision[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY[1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 250, 500, 1000, 2500, 5000, 10000]::double precision[]
$$;

-- One row a minute and kind of answer. Counts a bucket can be added up over minutes, workers and routes; percentiles
-- cannot. '' and 0 stand for "none".
CREATE TABLE monitoring.api_minutes (
    minute        timestamptz NOT NULL,
    route         text NOT NULL,
    status        smallint NOT NULL,
    problem       text NOT NULL,
    arm           text NOT NULL,
    model_version integer NOT NULL,
    bucket        smallint NOT NULL,  -- of milliseconds: width_bucket(milliseconds, monitoring.latency_bounds())
    request_count bigint NOT NULL,
    answer_count  bigint NOT NULL,    -- customers scored; a batch is one request with many
    PRIMARY KEY (minute, route, status, problem, arm, model_version, bucket)
) WITH (fillfactor = 70);  -- room for the same row again within its minute

-- Once a statement, so once a batch of the log. Rows are taken in key order: two workers wait, they do not deadlock.
CREATE FUNCTION churn.count_api_requests() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO monitoring.api_minutes AS known
    SELECT date_trunc('minute', at), route, status, coalesce(problem, ''), coalesce(arm, ''),
           coalesce(model_version, 0), width_bucket(milliseconds::double precision, monitoring.latency_bounds()),
           count(*) FILTER (WHERE row_number = 0 AND arm IS DISTINCT FROM 'shadow'),
           count(churn_probability)
    FROM written
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (minute, route, status, problem, arm, model_version, bucket) DO UPDATE
    SET request_count = known.request_count + excluded.request_count,
        answer_count = known.answer_count + excluded.answer_count;
    RETURN NULL;
END
$$;
CREATE TRIGGER every_request_is_counted AFTER INSERT ON churn.api_requests
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION churn.count_api_requests();

INSERT INTO monitoring.api_minutes
SELECT date_trunc('minute', at), route, status, '', coalesce(arm, ''), coalesce(model_version, 0),
       width_bucket(milliseconds::double precision, monitoring.latency_bounds()),
       count(*) FILTER (WHERE row_number = 0 AND arm IS DISTINCT FROM 'shadow'), count(churn_probability)
FROM churn.api_requests
GROUP BY 1, 2, 3, 4, 5, 6, 7;

-- The duration below which a share (0..1) of the requests stayed, in milliseconds; spread evenly within a bucket, as
-- Prometheus' histogram_quantile does it. Above the last bound it is that bound. NULL where nothing was counted.
CREATE FUNCTION monitoring.percentile(share double precision, buckets smallint[], counts bigint[])
RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT from_ms + coalesce(bounds[bucket + 1] - from_ms, 0) * (share * total - before) / request_count
    FROM (
        SELECT bucket, request_count, coalesce(bounds[bucket], 0) AS from_ms, bounds,
               sum(request_count) OVER ()::double precision AS total,
               (sum(request_count) OVER (ORDER BY bucket) - request_count)::double precision AS before
        FROM unnest(buckets, counts) AS counted (bucket, request_count),
             (SELECT monitoring.latency_bounds() AS bounds) AS known
        WHERE request_count > 0
    ) AS cumulated
    WHERE before + request_count >= share * total
    ORDER BY bucket
    LIMIT 1
$$;

CREATE OR REPLACE VIEW monitoring.api_log_batches AS
SELECT worker, row_count, dropped_count, written_at, limited_count, denied_count
FROM churn.api_log_batches;

CREATE OR REPLACE FUNCTION churn.drop_api_requests(p_before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    old_table name;
    dropped integer := 0;
BEGIN
    FOR old_table IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'churn.api_requests'::regclass
            AND relname::text < 'api_requests_' || to_char(p_before, 'YYYYMMDD')
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE churn.%I', old_table);
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN  -- someone reads it: the next one will drop it
        END;
    END LOOP;
    DELETE FROM churn.api_log_batches WHERE written_at < p_before;
    DELETE FROM monitoring.api_minutes WHERE minute < p_before;
    DELETE FROM serving.kept_answers WHERE answered_at < now() - interval '1 day';
    RETURN dropped;
END
$$;

-- Drift ------------------------------------------------------------------------------------------------------

ALTER TABLE monitoring.drift_reports
    ADD COLUMN source text NOT NULL DEFAULT 'customers' CHECK (source IN ('customers', 'requests')),
    ADD COLUMN drifted_rate_limit double precision;  -- of the policy: from this share of drifted columns on it is drift
CREATE INDEX drift_reports_by_time ON monitoring.drift_reports (source, reported_at);

-- Scores -----------------------------------------------------------------------------------------------------

-- What a published run said, by decile and risk level.
CREATE TABLE monitoring.score_groups (
    scoring_run_id         bigint NOT NULL REFERENCES churn.scoring_runs,
    decile                 smallint NOT NULL CHECK (decile BETWEEN 1 AND 10),
    risk_level             text NOT NULL CHECK (risk_level IN ('low', 'medium', 'high')),
    customer_count         bigint NOT NULL,
    mean_probability       double precision NOT NULL,
    monthly_charges_amount double precision NOT NULL,  -- what these customers pay in a month
    monthly_amount_at_risk double precision NOT NULL,  -- the same, each weighed by the probability to leave
    PRIMARY KEY (scoring_run_id, decile, risk_level)
);

-- What became true of a tenth of a settled run; decile 1 had the highest scores.
CREATE TABLE monitoring.realised_deciles (
    scoring_run_id   bigint NOT NULL,
    horizon_days     integer NOT NULL,
    decile           smallint NOT NULL CHECK (decile BETWEEN 1 AND 10),
    customer_count   bigint NOT NULL,
    mean_probability double precision NOT NULL,
    churn_rate       double precision NOT NULL,
    PRIMARY KEY (scoring_run_id, horizon_days, decile),
    FOREIGN KEY (scoring_run_id, horizon_days) REFERENCES monitoring.realised_performance
);

-- What readers of crm.churn_scores see now.
CREATE VIEW monitoring.published_run AS
SELECT runs.scoring_run_id, runs.snapshot_date, runs.model_version, runs.scored_count, runs.published_at
FROM churn.scoring_runs AS runs
JOIN churn.current_scoring_run USING (scoring_run_id);

-- Every run with how long it took; rows a second are those of the parts, without checks and publishing.
CREATE VIEW monitoring.run_durations AS
SELECT runs.scoring_run_id, runs.snapshot_date, runs.mode, runs.model_version, runs.state, runs.scored_count,
       runs.opened_at, runs.published_at,
       extract(epoch FROM coalesce(runs.published_at, runs.closed_at, runs.checked_at, runs.scored_at) - runs.opened_at)
           ::double precision AS seconds,
       runs.scored_count / nullif(extract(epoch FROM parts.finished_at - parts.claimed_at)::double precision, 0)
           AS rows_a_second,
       runs.rejection
FROM churn.scoring_runs AS runs
LEFT JOIN LATERAL (
    SELECT min(claimed_at) AS claimed_at, max(finished_at) AS finished_at
    FROM churn.scoring_parts
    WHERE scoring_parts.scoring_run_id = runs.scoring_run_id
) AS parts ON true;

-- One row a day and risk level, of the run that is published for the day.
CREATE VIEW monitoring.risk_days AS
SELECT runs.snapshot_date, groups.risk_level, runs.medium_risk_from, runs.high_risk_from,
       sum(groups.customer_count)::bigint AS customer_count,
       sum(groups.monthly_charges_amount) AS monthly_charges_amount,
       sum(groups.monthly_amount_at_risk) AS monthly_amount_at_risk
FROM monitoring.score_groups AS groups
JOIN churn.scoring_runs AS runs USING (scoring_run_id)
WHERE runs.state = 'published'
GROUP BY 1, 2, 3, 4;

-- Extracts ---------------------------------------------------------------------------------------------------

-- The share of bad rows of each extract that came so far, with the cap that it was held against.
CREATE VIEW monitoring.quarantine_shares AS
SELECT extracts.extract_id, extracts.snapshot_date, extracts.state, extracts.decided_at,
       results.unexpected_count AS bad_count,
       (results.observed_value ->> 'row_count')::bigint AS row_count,
       results.unexpected_count / greatest((results.observed_value ->> 'row_count')::double precision, 1) AS bad_rate,
       (results.observed_value ->> 'cap_rate')::double precision AS cap_rate
FROM monitoring.validation_results AS results
JOIN churn.extracts USING (extract_id)
WHERE results.expectation = 'quarantine_within_cap' AND results.observed_value ? 'cap_rate';

-- Refused files whose day has no extract that was admitted after them.
CREATE VIEW monitoring.unmended_refusals AS
SELECT refused.extract_id, refused.snapshot_date, refused.source_url, refused.refusal, refused.decided_at
FROM churn.extracts AS refused
WHERE refused.state = 'refused' AND NOT EXISTS (
    SELECT FROM churn.extracts AS mended
    WHERE mended.snapshot_date = refused.snapshot_date AND mended.state = 'admitted'
      AND mended.decided_at > refused.decided_at
);

CREATE INDEX validation_results_by_extract ON monitoring.validation_results (extract_id);
CREATE INDEX validation_results_failed ON monitoring.validation_results (validated_at) WHERE NOT succeeded;
CREATE INDEX validation_results_of_quarantine ON monitoring.validation_results (extract_id)
    WHERE expectation = 'quarantine_within_cap';

-- The model --------------------------------------------------------------------------------------------------

-- What the gate measured of each challenger on customers whom no model had seen.
CREATE VIEW monitoring.estimated_performance AS
SELECT promotion_id, decided_at, decision, model_version, previous_version, decided_by, reason,
       evidence ->> 'mlflow_run_id' AS mlflow_run_id,
       (holdout ->> 'row_count')::bigint AS row_count,
       (holdout ->> 'churn_rate')::double precision AS churn_rate,
       (holdout -> 'roc_auc' ->> 'value')::double precision AS roc_auc,
       (holdout -> 'roc_auc' ->> 'low')::double precision AS roc_auc_low,
       (holdout -> 'roc_auc' ->> 'high')::double precision AS roc_auc_high,
       (holdout ->> 'brier')::double precision AS brier,
       (holdout ->> 'calibration_error')::double precision AS calibration_error,
       (holdout ->> 'lift_10')::double precision AS lift_10
FROM churn.promotions
CROSS JOIN LATERAL (
    SELECT CASE WHEN jsonb_typeof(evidence -> 'holdout') = 'object' THEN evidence -> 'holdout' END AS holdout
) AS judged;

-- Which version served when.
CREATE VIEW monitoring.serving_periods AS
SELECT promotion_id, decision, model_version, previous_version, decided_by, reason, decided_at AS served_from,
       lead(decided_at) OVER (ORDER BY promotion_id) AS served_until
FROM churn.promotions
WHERE decision IN ('promoted', 'rolled_back');

-- A settled run beside what the gate had estimated of its version.
CREATE VIEW monitoring.realised_and_estimated AS
SELECT realised.snapshot_date + realised.horizon_days AS settled_for, realised.*,
       estimated.roc_auc AS estimated_auc, estimated.roc_auc_low AS estimated_auc_low,
       estimated.roc_auc_high AS estimated_auc_high, estimated.calibration_error AS estimated_calibration_error
FROM monitoring.realised_performance AS realised
LEFT JOIN LATERAL (
    SELECT roc_auc, roc_auc_low, roc_auc_high, calibration_error
    FROM monitoring.estimated_performance AS judged
    WHERE judged.model_version = realised.model_version AND judged.roc_auc IS NOT NULL
    ORDER BY judged.promotion_id
    LIMIT 1
) AS estimated ON true;

-- Jobs -------------------------------------------------------------------------------------------------------

-- The last thing that each job wrote. A job that fails before it writes leaves its older line: look at its age.
CREATE VIEW monitoring.last_of_each_job AS
(SELECT 'validate_customers' AS job, decided_at AS at, state AS outcome, coalesce(refusal, source_url) AS detail
 FROM churn.extracts WHERE decided_at IS NOT NULL ORDER BY decided_at DESC LIMIT 1)
UNION ALL
(SELECT 'retrain_model', decided_at, decision, reason FROM churn.promotions ORDER BY promotion_id DESC LIMIT 1)
UNION ALL
(SELECT 'score_customers', coalesce(closed_at, published_at, checked_at, scored_at, opened_at), state,
        coalesce(rejection, 'snapshot ' || snapshot_date || ', model version ' || model_version)
 FROM churn.scoring_runs ORDER BY scoring_run_id DESC LIMIT 1)
UNION ALL
(SELECT 'report_drift (' || source || ')', reported_at, verdict, reason
 FROM (SELECT DISTINCT ON (source) * FROM monitoring.drift_reports ORDER BY source, drift_report_id DESC) AS newest)
UNION ALL
(SELECT 'settle_outcomes', settled_at, 'settled', 'snapshot ' || snapshot_date || ', ' || outcome_count || ' outcomes'
 FROM monitoring.realised_performance ORDER BY settled_at DESC LIMIT 1);

-- Who may do what --------------------------------------------------------------------------------------------

REVOKE EXECUTE ON FUNCTION churn.count_api_requests(), monitoring.latency_bounds(),
    monitoring.percentile(double precision, smallint[], bigint[]) FROM PUBLIC;
-- A view asks for these on behalf of whoever reads it.
GRANT EXECUTE ON FUNCTION monitoring.latency_bounds(), monitoring.percentile(double precision, smallint[], bigint[])
    TO churn_pipeline, grafana_reader;
GRANT INSERT (limited_count, denied_count) ON churn.api_log_batches TO churn_api;
GRANT SELECT, INSERT ON monitoring.score_groups, monitoring.realised_deciles TO churn_pipeline;
GRANT SELECT ON monitoring.api_minutes, monitoring.published_run, monitoring.run_durations, monitoring.risk_days,
    monitoring.quarantine_shares, monitoring.unmended_refusals, monitoring.estimated_performance,
    monitoring.serving_periods, monitoring.realised_and_estimated, monitoring.last_of_each_job TO churn_pipeline;
GRANT SELECT ON monitoring.score_groups, monitoring.realised_deciles, monitoring.api_minutes, monitoring.published_run,
    monitoring.run_durations, monitoring.risk_days, monitoring.quarantine_shares, monitoring.estimated_performance,
    monitoring.unmended_refusals, monitoring.serving_periods, monitoring.realised_and_estimated,
    monitoring.last_of_each_job TO grafana_reader;
