-- What the search for parameters has tried, and what candidates are worth: kept, so that nothing is learned twice.

-- A search is known by the hash of everything that it depends on: rows, folds, space, seed and the code that learns.
CREATE TABLE churn.trials (
    search_key   text NOT NULL CHECK (search_key ~ '^[0-9a-f]{64}$'),
    trial_number integer NOT NULL CHECK (trial_number >= 0),
    kind         text NOT NULL,
    parameters   jsonb NOT NULL,
    fold_losses  double precision[] NOT NULL CHECK (cardinality(fold_losses) > 0),
    pruned       boolean NOT NULL,
    seconds      double precision NOT NULL CHECK (seconds >= 0),
    finished_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (search_key, trial_number)
);

-- The outcome of a candidate's nested cross-validation, by the hash of everything that it depends on.
CREATE TABLE churn.candidate_estimates (
    estimate_key  text PRIMARY KEY CHECK (estimate_key ~ '^[0-9a-f]{64}$'),
    kind          text NOT NULL,
    recipe        jsonb NOT NULL,
    folds         jsonb NOT NULL,
    probabilities bytea NOT NULL,  -- little-endian doubles: all rows of the first repeat, then of the second ...
    repeat_count  integer NOT NULL CHECK (repeat_count > 0),
    rows_a_second double precision NOT NULL CHECK (rows_a_second > 0),
    mlflow_run_id text NOT NULL,
    estimated_at  timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT ON churn.trials, churn.candidate_estimates TO churn_pipeline;
