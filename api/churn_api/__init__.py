"""The churn API: on-demand answers from the Production model."""
