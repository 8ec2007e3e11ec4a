SELECT trial_number AS number, parameters, fold_losses, pruned, seconds
FROM churn.trials
WHERE search_key = %(search_key)s
ORDER BY trial_number
