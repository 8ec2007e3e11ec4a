-- Lives no longer than the transaction that makes it.
CREATE UNLOGGED TABLE staging.delivered_text (line_number bigint NOT NULL, raw_text text NOT NULL)
