SELECT churn.discard_history()
