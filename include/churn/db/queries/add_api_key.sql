INSERT INTO churn.api_keys (key_id, key_name, secret_hash, scopes, requests_per_minute, expires_at)
VALUES (%(key_id)s, %(key_name)s, %(secret_hash)s, %(scopes)s, %(requests_per_minute)s, %(expires_at)s)
ON CONFLICT (key_name) WHERE revoked_at IS NULL DO NOTHING
