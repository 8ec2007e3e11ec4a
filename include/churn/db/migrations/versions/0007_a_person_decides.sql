-- The gate may propose a version that a person then promotes.

ALTER TABLE churn.promotions
    DROP CONSTRAINT promotions_decision_check,
    ADD CONSTRAINT promotions_decision_check CHECK (decision IN ('promoted', 'kept', 'rolled_back', 'proposed'));
