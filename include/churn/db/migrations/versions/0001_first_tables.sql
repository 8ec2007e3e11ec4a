-- The first tables. Run as churn_owner, which owns everything and cannot log in.

-- Schema churn, the pipeline's own tables, is made before the first migration: the version table lives in it.
CREATE SCHEMA staging;     -- private tables of one validation or one scoring run
CREATE SCHEMA crm;         -- what CRM teams read
CREATE SCHEMA monitoring;  -- what Grafana reads: no row of a customer in it

-- Extracts ---------------------------------------------------------------------------------------------------

CREATE TABLE churn.extracts (
    extract_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content_hash      text NOT NULL CHECK (content_hash ~ '^[0-9a-f]{64}$'),
    source_url        text NOT NULL,
    source_version    text NOT NULL DEFAULT '',  -- changes with the file, so that an unchanged one is not read again
    snapshot_date     date NOT NULL,
    state             text NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'admitted', 'refused')),
    row_count         bigint CHECK (row_count >= 0),
    admitted_count    bigint CHECK (admitted_count >= 0),
    quarantined_count bigint CHECK (quarantined_count >= 0),
    refusal           text,
    data_docs         text,                      -- page of its validation, relative to the reports folder
    received_at       timestamptz NOT NULL DEFAULT now(),
    decided_at        timestamptz,
    CONSTRAINT every_row_is_accounted_for
        CHECK (state <> 'admitted' OR (row_count = admitted_count + quarantined_count) IS TRUE),
    CONSTRAINT a_refusal_says_why CHECK ((state = 'refused') = (refusal IS NOT NULL)),
    CONSTRAINT a_decision_has_its_time CHECK ((state = 'received') = (decided_at IS NULL))
);
CREATE INDEX extracts_by_content ON churn.extracts (content_hash, snapshot_date);
CREATE UNIQUE INDEX one_admission_of_a_content ON churn.extracts (content_hash, snapshot_date)
    WHERE state <> 'refused';

CREATE TABLE churn.quarantined_rows (
    extract_id  bigint NOT NULL REFERENCES churn.extracts,
    line_number bigint NOT NULL,
    raw_values  jsonb NOT NULL,
    reasons     text[] NOT NULL CHECK (cardinality(reasons) > 0),
    PRIMARY KEY (extract_id, line_number)
);

-- One partition an extract: a replaced day keeps both, so an old score can be recomputed.
CREATE TABLE churn.customer_history (
    extract_id        bigint NOT NULL,
    snapshot_date     date NOT NULL,
    customer_id       text COLLATE "C" NOT NULL,
    gender            text NOT NULL,
    senior_citizen    smallint NOT NULL,
    partner           text NOT NULL,
    dependents        text NOT NULL,
    tenure            integer NOT NULL,
    phone_service     text NOT NULL,
    multiple_lines    text NOT NULL,
    internet_service  text NOT NULL,
    online_security   text NOT NULL,
    online_backup     text NOT NULL,
    device_protection text NOT NULL,
    tech_support      text NOT NULL,
    streaming_tv      text NOT NULL,
    streaming_movies  text NOT NULL,
    contract          text NOT NULL,
    paperless_billing text NOT NULL,
    payment_method    text NOT NULL,
    monthly_charges   double precision NOT NULL,
    total_charges     double precision NOT NULL,
    churned           boolean,
    PRIMARY KEY (extract_id, customer_id)
) PARTITION BY LIST (extract_id);

CREATE TABLE churn.current_extract (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    extract_id bigint NOT NULL REFERENCES churn.extracts,
    moved_at   timestamptz NOT NULL DEFAULT now()
);

CREATE VIEW churn.customers AS
SELECT *
FROM churn.customer_history
WHERE extract_id = (SELECT extract_id FROM churn.current_extract);

-- The extract that counts for each day: the one admitted last.
CREATE VIEW churn.snapshots AS
SELECT DISTINCT ON (snapshot_date) snapshot_date, extract_id, admitted_count AS customer_count, content_hash
FROM churn.extracts
WHERE state = 'admitted'
ORDER BY snapshot_date, decided_at DESC, extract_id DESC;

-- What became true of whom, and on which day it was known.
CREATE VIEW churn.outcomes AS
SELECT history.customer_id, history.snapshot_date AS observed_date, history.churned, history.extract_id
FROM churn.customer_history AS history
JOIN churn.snapshots USING (extract_id)
WHERE history.churned IS NOT NULL;

-- Scores -----------------------------------------------------------------------------------------------------

CREATE TABLE churn.scoring_runs (
    scoring_run_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    extract_id       bigint NOT NULL REFERENCES churn.extracts,
    snapshot_date    date NOT NULL,
    model_version    integer NOT NULL,
    model_digest     text NOT NULL,
    policy           jsonb NOT NULL,
    state            text NOT NULL DEFAULT 'open'
                     CHECK (state IN ('open', 'scored', 'checked', 'published', 'rejected', 'superseded')),
    customer_count   bigint,
    scored_count     bigint,
    mean_probability double precision,
    rejection        text,
    opened_by        text NOT NULL DEFAULT session_user,
    opened_at        timestamptz NOT NULL DEFAULT now(),
    scored_at        timestamptz,
    checked_at       timestamptz,
    published_at     timestamptz,
    closed_at        timestamptz
);
CREATE UNIQUE INDEX one_published_run_a_date ON churn.scoring_runs (snapshot_date) WHERE state = 'published';

CREATE TABLE churn.scores (
    scoring_run_id    bigint NOT NULL,
    customer_id       text COLLATE "C" NOT NULL,
    churn_probability double precision NOT NULL CHECK (churn_probability >= 0 AND churn_probability <= 1),
    decile            smallint NOT NULL CHECK (decile BETWEEN 1 AND 10),
    risk_level        text NOT NULL CHECK (risk_level IN ('low', 'medium', 'high')),
    PRIMARY KEY (scoring_run_id, customer_id)
) PARTITION BY LIST (scoring_run_id);

CREATE TABLE churn.current_scoring_run (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    scoring_run_id bigint NOT NULL REFERENCES churn.scoring_runs,
    moved_at       timestamptz NOT NULL DEFAULT now()
);

CREATE VIEW crm.churn_scores AS
SELECT
    scores.customer_id,
    scores.churn_probability,
    scores.decile,
    scores.risk_level,
    runs.model_version,
    scores.scoring_run_id,
    runs.snapshot_date,
    runs.scored_at
FROM churn.scores AS scores
JOIN churn.scoring_runs AS runs USING (scoring_run_id)
WHERE scores.scoring_run_id = (SELECT scoring_run_id FROM churn.current_scoring_run);

-- Decisions --------------------------------------------------------------------------------------------------

CREATE TABLE churn.promotions (
    promotion_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    decision         text NOT NULL CHECK (decision IN ('promoted', 'kept')),
    model_version    integer NOT NULL,
    previous_version integer,
    reason           text NOT NULL,
    evidence         jsonb NOT NULL,
    policy           jsonb NOT NULL,
    decided_by       text NOT NULL DEFAULT session_user,
    decided_at       timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE churn.retraining_requests (
    request_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason          text NOT NULL,
    drift_report_id bigint,
    requested_at    timestamptz NOT NULL DEFAULT now(),
    settled_at      timestamptz,
    result          text
);
CREATE UNIQUE INDEX one_open_request ON churn.retraining_requests ((true)) WHERE settled_at IS NULL;

-- Monitoring -------------------------------------------------------------------------------------------------

CREATE TABLE monitoring.validation_results (
    validation_result_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    extract_id           bigint NOT NULL REFERENCES churn.extracts,
    expectation          text NOT NULL,
    column_name          text,
    severity             text NOT NULL CHECK (severity IN ('refuse', 'quarantine', 'warn')),
    succeeded            boolean NOT NULL,
    unexpected_count     bigint,
    observed_value       jsonb,
    validated_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE monitoring.drift_reports (
    drift_report_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    snapshot_date   date,
    model_version   integer,
    current_count   bigint NOT NULL,
    reference_count bigint NOT NULL,
    drifted_rate    double precision,
    verdict         text NOT NULL CHECK (verdict IN ('stable', 'drifted', 'not enough rows', 'no reference')),
    reason          text NOT NULL,
    reported_at     timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE churn.retraining_requests
    ADD FOREIGN KEY (drift_report_id) REFERENCES monitoring.drift_reports;

CREATE TABLE monitoring.drift_columns (
    drift_report_id bigint NOT NULL REFERENCES monitoring.drift_reports,
    column_name     text NOT NULL,
    method          text NOT NULL,
    statistic       double precision NOT NULL,
    threshold       double precision NOT NULL,
    drifted         boolean NOT NULL,
    PRIMARY KEY (drift_report_id, column_name)
);

CREATE TABLE monitoring.realised_performance (
    scoring_run_id    bigint NOT NULL REFERENCES churn.scoring_runs,
    horizon_days      integer NOT NULL,
    snapshot_date     date NOT NULL,
    model_version     integer NOT NULL,
    outcome_count     bigint NOT NULL,
    churn_rate        double precision NOT NULL,
    mean_probability  double precision NOT NULL,
    roc_auc           double precision,
    roc_auc_low       double precision,
    roc_auc_high      double precision,
    brier             double precision NOT NULL,
    calibration_error double precision NOT NULL,
    lift_10           double precision,
    settled_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scoring_run_id, horizon_days)
);

CREATE VIEW monitoring.extracts AS
SELECT extract_id, snapshot_date, state, row_count, admitted_count, quarantined_count, refusal, data_docs,
       received_at, decided_at
FROM churn.extracts;

CREATE VIEW monitoring.scoring_runs AS
SELECT scoring_run_id, snapshot_date, model_version, state, customer_count, scored_count, mean_probability,
       rejection, opened_at, scored_at, checked_at, published_at, closed_at
FROM churn.scoring_runs;

CREATE VIEW monitoring.promotions AS
SELECT promotion_id, decision, model_version, previous_version, reason, decided_by, decided_at
FROM churn.promotions;

-- Partitions are made by functions that run as the owner: the pipeline can add one, never drop one. -----------

CREATE FUNCTION churn.add_history_partition(p_extract_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition_name text := 'customer_history_' || p_extract_id;
BEGIN
    IF NOT EXISTS (SELECT FROM churn.extracts WHERE extract_id = p_extract_id AND state = 'received') THEN
        RAISE EXCEPTION 'extract % is not waiting to be admitted', p_extract_id;
    END IF;
    -- CREATE ... PARTITION OF would lock every reader out; ATTACH does not.
    EXECUTE format('CREATE TABLE churn.%I (LIKE churn.customer_history INCLUDING ALL)', partition_name);
    EXECUTE format('ALTER TABLE churn.customer_history ATTACH PARTITION churn.%I FOR VALUES IN (%s)',
                   partition_name, p_extract_id);
END
$$;

CREATE FUNCTION churn.add_scores_partition(p_scoring_run_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition_name text := 'scores_' || p_scoring_run_id;
BEGIN
    IF NOT EXISTS (SELECT FROM churn.scoring_runs WHERE scoring_run_id = p_scoring_run_id AND state = 'open') THEN
        RAISE EXCEPTION 'scoring run % is not open', p_scoring_run_id;
    END IF;
    EXECUTE format('CREATE TABLE churn.%I (LIKE churn.scores INCLUDING ALL)', partition_name);
    EXECUTE format('ALTER TABLE churn.scores ATTACH PARTITION churn.%I FOR VALUES IN (%s)',
                   partition_name, p_scoring_run_id);
END
$$;

-- Who may do what --------------------------------------------------------------------------------------------

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA churn FROM PUBLIC;
GRANT USAGE ON SCHEMA churn, staging, crm, monitoring TO churn_pipeline;
GRANT CREATE ON SCHEMA staging TO churn_pipeline;
GRANT EXECUTE ON FUNCTION churn.add_history_partition(bigint), churn.add_scores_partition(bigint) TO churn_pipeline;
GRANT SELECT ON ALL TABLES IN SCHEMA churn, crm, monitoring TO churn_pipeline;
GRANT INSERT ON churn.extracts, churn.quarantined_rows, churn.customer_history, churn.current_extract,
    churn.scoring_runs, churn.scores, churn.current_scoring_run, churn.promotions, churn.retraining_requests,
    monitoring.validation_results, monitoring.drift_reports, monitoring.drift_columns,
    monitoring.realised_performance TO churn_pipeline;
GRANT UPDATE (state, row_count, admitted_count, quarantined_count, refusal, data_docs, decided_at)
    ON churn.extracts
    TO churn_pipeline;
GRANT UPDATE (extract_id, moved_at) ON churn.current_extract TO churn_pipeline;
GRANT UPDATE (state, customer_count, scored_count, mean_probability, rejection, scored_at, checked_at, published_at,
    closed_at) ON churn.scoring_runs TO churn_pipeline;
GRANT UPDATE (scoring_run_id, moved_at) ON churn.current_scoring_run TO churn_pipeline;
GRANT UPDATE (settled_at, result) ON churn.retraining_requests TO churn_pipeline;

GRANT USAGE ON SCHEMA crm TO churn_api, crm_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA crm TO churn_api, crm_reader;

GRANT USAGE ON SCHEMA monitoring TO grafana_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA monitoring TO grafana_reader;

-- Every role may learn whether the schema is current.
GRANT USAGE ON SCHEMA churn TO churn_api;
GRANT SELECT ON churn.schema_version TO churn_api;
