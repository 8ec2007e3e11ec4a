INSERT INTO churn.trials (search_key, trial_number, kind, parameters, fold_losses, pruned, seconds)
VALUES (%(search_key)s, %(number)s, %(kind)s, %(parameters)s, %(fold_losses)s, %(pruned)s, %(seconds)s)
ON CONFLICT (search_key, trial_number) DO NOTHING
