-- In MLflow's own database: where the artifact of each version lies, and the digest that was recorded with it.
SELECT model_versions.version, logged_models.artifact_location, logged_model_tags.tag_value AS artifact_digest
FROM model_versions
LEFT JOIN logged_models ON model_versions.source = 'models:/' || logged_models.model_id
LEFT JOIN logged_model_tags
    ON logged_model_tags.model_id = logged_models.model_id AND logged_model_tags.tag_key = %(digest_tag)s
WHERE model_versions.name = %(model_name)s AND model_versions.current_stage <> 'Deleted_Internal'
ORDER BY 1
