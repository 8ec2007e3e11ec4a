-- No row is added where the batch was written before, by an attempt whose answer was lost.
INSERT INTO churn.api_log_batches (batch_id, worker, row_count, dropped_count, limited_count, denied_count)
VALUES (%(batch_id)s, %(worker)s, %(row_count)s, %(dropped_count)s, %(limited_count)s, %(denied_count)s)
ON CONFLICT DO NOTHING
