"""The local platform: PostgreSQL, MLflow, Airflow and the API under one supervisor, on loopback only."""
