"""Airflow reads its configuration at its first import: give it a folder of its own before that."""

import os
import tempfile

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="churn-test-airflow-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
