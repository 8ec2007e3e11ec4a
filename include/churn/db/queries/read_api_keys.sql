SELECT key_id, key_name, secret_hash, scopes, requests_per_minute, expires_at, revoked_at
FROM churn.api_keys
