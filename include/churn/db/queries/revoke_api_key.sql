UPDATE churn.api_keys SET revoked_at = now() WHERE key_name = %(key_name)s AND revoked_at IS NULL
