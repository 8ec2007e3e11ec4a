-- What the API reads of the night, and the answers that it keeps for callers who may have to ask again.
-- The views show rows and columns to role churn_api that it could not read in the tables behind them.

CREATE SCHEMA serving;

CREATE VIEW serving.published_run AS
SELECT runs.scoring_run_id, runs.snapshot_date, runs.model_version, runs.percentile_cuts, runs.published_at
FROM churn.scoring_runs AS runs
JOIN churn.current_scoring_run USING (scoring_run_id);

-- Every published run whose scores are kept; asked for one customer, it finds the row of each run by its key.
CREATE VIEW serving.published_scores AS
SELECT
    ranked.customer_id,
    ranked.snapshot_date,
    ranked.churn_probability,
    ranked.decile,
    ranked.percentile_rank,
    ranked.risk_level,
    explained.reasons,
    ranked.model_version,
    ranked.scoring_run_id,
    ranked.scored_at,
    runs.published_at,
    runs.scoring_run_id = (SELECT scoring_run_id FROM churn.current_scoring_run) AS is_current
FROM churn.scoring_runs AS runs
JOIN churn.ranked_scores AS ranked ON ranked.scoring_run_id = runs.scoring_run_id
LEFT JOIN churn.score_reasons AS explained
    ON explained.scoring_run_id = ranked.scoring_run_id AND explained.customer_id = ranked.customer_id
WHERE runs.state = 'published' AND runs.scores_dropped_at IS NULL;

CREATE VIEW serving.approvals AS
SELECT promotion_id, decision, model_version, previous_version, reason, evidence -> 'holdout' AS holdout, decided_at
FROM churn.promotions
WHERE decision IN ('promoted', 'rolled_back');

-- An answer that was given under an Idempotency-Key; `answer` is compressed by zlib. Kept for a day.
CREATE TABLE serving.kept_answers (
    caller          text NOT NULL,
    idempotency_key text NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 128),
    request_digest  bytea NOT NULL CHECK (length(request_digest) = 32),
    content_type    text NOT NULL,
    model_version   integer NOT NULL,
    answer          bytea NOT NULL,
    answered_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, idempotency_key)
);
CREATE INDEX kept_answers_by_age ON serving.kept_answers (answered_at);

GRANT USAGE ON SCHEMA serving TO churn_api, churn_pipeline;
GRANT SELECT ON serving.published_run, serving.published_scores, serving.approvals TO churn_api, churn_pipeline;
GRANT SELECT, INSERT, DELETE ON serving.kept_answers TO churn_api;
