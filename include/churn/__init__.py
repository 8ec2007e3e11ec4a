"""Churn scoring and retraining: the library behind the DAGs, the command line and the API."""
