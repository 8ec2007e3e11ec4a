SELECT churn.erase_api_requests(%(customer_id)s) AS erased_count
