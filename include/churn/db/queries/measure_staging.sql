SELECT pg_relation_size('staging.customers_extract') / current_setting('block_size')::bigint AS block_count
