"""One use case a file: one Airflow task, one CLI command, one story."""
