-- A file that its store still calls unchanged keeps the hash it had.
SELECT DISTINCT ON (source_url, source_version) source_url, source_version, content_hash
FROM churn.extracts
WHERE source_version <> ''
ORDER BY source_url, source_version, extract_id DESC
