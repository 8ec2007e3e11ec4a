SELECT snapshot_date, inputs FROM serving.customer_inputs(%(customer_id)s)
