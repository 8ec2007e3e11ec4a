SELECT key_name, key_id, scopes, requests_per_minute, created_by, created_at, expires_at, revoked_at,
       CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'active' END AS state
FROM churn.api_keys
ORDER BY created_at DESC, key_id
