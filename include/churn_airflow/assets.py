"""Every asset of the system: what a DAG brings up to date, and what wakes another."""

from airflow.sdk import Asset, AssetWatcher

from churn_airflow.landing_watch import LandingTrigger

CUSTOMERS = Asset(name="customers", uri="churn://customers")
PRODUCTION_MODEL = Asset(name="production_model", uri="churn://production_model")
CHURN_SCORES = Asset(name="churn_scores", uri="churn://churn_scores")
RETRAINING_REQUESTED = Asset(name="retraining_requested", uri="churn://retraining_requested")
LANDED_EXTRACTS = Asset(
    name="landed_extracts",
    uri="churn://landed_extracts",
    watchers=[AssetWatcher(name="landing", trigger=LandingTrigger())],
)
