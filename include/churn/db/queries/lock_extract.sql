SELECT FROM churn.extracts WHERE extract_id = %(extract_id)s FOR UPDATE
