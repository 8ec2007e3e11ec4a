-- The newest entry says since when a version serves; what it achieved stands in the entry that first approved it.
SELECT
    newest.decision,
    newest.reason,
    newest.previous_version,
    newest.decided_at,
    (
        SELECT holdout
        FROM serving.approvals
        WHERE model_version = %(model_version)s AND holdout IS NOT NULL
        ORDER BY promotion_id DESC
        LIMIT 1
    ) AS holdout
FROM serving.approvals AS newest
WHERE newest.model_version = %(model_version)s
ORDER BY newest.promotion_id DESC
LIMIT 1
