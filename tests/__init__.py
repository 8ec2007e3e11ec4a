"""The tests, collecting garbage as seldom as the commands that they test: their imports make next to none."""

from churn.process import tune_for_one_job

tune_for_one_job()
