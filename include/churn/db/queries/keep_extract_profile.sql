UPDATE churn.extracts SET profile = %(profile)s WHERE extract_id = %(extract_id)s
