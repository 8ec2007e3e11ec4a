# Everything a person does here, one word each. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV := uv==0.13.9
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile
# Each target's output comes whole when it has ended.
TWO_AT_ONCE := --no-print-directory --jobs 2 --output-sync=target
CHROMIUM := command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }
AXE := .axe/node_modules/axe-core/axe.min.js
RESOLVE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11.2 --no-emit-index-url --custom-compile-command "make lock"
# The stack of docker-compose.yaml; COMPOSE=... and ENV_FILE=... choose another Compose and another file of secrets.
COMPOSE ?= docker compose
ENV_FILE ?= .env
STACK = $(COMPOSE) --env-file $(ENV_FILE)
# What is asked of the stack's files needs a Python and no library.
WITHOUT_LIBRARIES = PYTHONPATH=include $(PYTHON) -m churn.containers
export DO_NOT_TRACK := true
export GX_ANALYTICS_ENABLED := false
export OMP_NUM_THREADS := 1

# Every target with a help text is a word, not a file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## this list
	@awk -F':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installed once for each state of the pins; with bytecode, or the first Airflow command takes three times as long.
.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements-dev.txt
	@touch $@

##@ Whoever is new here

# What finds obstacles in the page, for tests only; nothing of it is run but in the browser.
$(AXE):
	@npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix .axe axe-core@4.14.1

install: .venv/installed ## make .venv with every pin
	@echo "Installed. Next: make demo, or $(BIN)/churn --help"

demo: .venv/installed ## run the whole job on this machine and leave the UIs up (DATA=file.csv for your own data, JSON=1)
	@$(BIN)/churn demo $(if $(DATA),--data "$(DATA)") $(if $(JSON),--json)

deploy-local: .venv/installed ## start the platform on this machine, without running anything
	@$(BIN)/churn platform up

# A container's own volume, which bears no name, would be nobody's once the container is gone.
down: ## stop what runs here: the platform of `make demo`, the containers of `make up`; data stays
	@if test -x $(BIN)/churn; then $(BIN)/churn platform down; fi
	@if test -f $(ENV_FILE) && $(STACK) ps --all --quiet 2>/dev/null | grep -q .; then $(STACK) rm --stop --force --volumes && $(STACK) down; fi

status: .venv/installed ## show each process with port, health, CPU and memory
	@$(BIN)/churn platform status

##@ Containers

setup-data: .venv/installed ## write random secrets into .env, and a first extract into landing/, where there are none
	@$(BIN)/python -m churn.containers.sample $(ENV_FILE) $(or $(LANDING_FOLDER),landing)

build: ## build the three images
	$(STACK) build

build-for-prod: ## build them for others to run: the tag is the commit
	CHURN_IMAGE_TAG=$$(git rev-parse --short=12 HEAD) $(STACK) build

up: ## start the stack and wait until it is healthy; refused with a default or missing secret
	@$(WITHOUT_LIBRARIES).check $(ENV_FILE)
	$(STACK) up --detach --wait
	@$(WITHOUT_LIBRARIES).health_table $(STACK)

logs: ## follow the logs of the stack (SERVICE=airflow-worker for one)
	$(STACK) logs --follow --tail 100 $(SERVICE)

health-check: ## show how each container is; ends with 1 unless all are healthy
	@$(WITHOUT_LIBRARIES).health_table $(STACK)

##@ AWS

deploy-staging: ## build, push, plan, ask, apply, migrate, roll out, smoke-test (PLAN_ONLY=1 stops after the plan)
	@terraform/deploy staging

deploy-production: ## the same for production
	@terraform/deploy production

roll-back-staging: ## run an earlier release again (TO=<image tag>)
	@IMAGE_TAG=$(or $(TO),$(error TO=<image tag> is missing: the first 12 digits of the commit to go back to)) terraform/deploy staging

roll-back-production: ## the same in production (TO=<image tag>)
	@IMAGE_TAG=$(or $(TO),$(error TO=<image tag> is missing: the first 12 digits of the commit to go back to)) terraform/deploy production

##@ Pipeline operators

train: .venv/installed ## train on the outcomes that are known and let the gate decide, without Airflow
	@$(BIN)/churn train

retrain-models: .venv/installed ## the same through Airflow: run the DAG retrain_model and wait for its end
	@$(BIN)/churn platform run retrain_model

score: .venv/installed ## score every customer, check the run, publish it
	@$(BIN)/churn score run

drift: .venv/installed ## report drift now
	@$(BIN)/churn drift

backup-data: .venv/installed ## back up database, registry and artifacts while all goes on (TO=folder or s3://)
	@$(BIN)/churn backup "$(or $(TO),$(or $(CHURN_HOME),.local)/backups)"

##@ Data scientists

evaluate-models: .venv/installed ## what each kind of candidate is worth, by nested cross-validation, with intervals
	@$(BIN)/churn candidates

model-performance: .venv/installed ## what each version promised on its holdout beside what came true
	@$(BIN)/churn performance

validate-model: .venv/installed ## hold a version against what was registered (VERSION=, Production where left out)
	@$(BIN)/churn verify-model $(VERSION)

deploy-best-model: .venv/installed ## promote the challenger that the gate has approved (REASON="...")
	@$(BIN)/churn promote --reason "$$REASON"

##@ On-call

monitor-metrics: .venv/installed ## the numbers of Grafana's dashboards, in the terminal
	@$(BIN)/churn monitor

check-alerts: .venv/installed ## evaluate Grafana's alert rules now; ends with 1 where one fires
	@$(BIN)/churn alerts

api-performance: .venv/installed ## requests, errors and milliseconds of the endpoint by route and version
	@$(BIN)/churn api-log latency

test-predictions: .venv/installed ## the running endpoint must answer published customers with the published scores
	@$(BIN)/churn try-api

##@ Developers

lint: .venv/installed-dev ## ruff, mypy, import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed-dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-unit: .venv/installed-dev ## pure functions and house rules, under a minute
	$(BIN)/pytest -q $(SIDE_BY_SIDE) tests/unit tests/house tests/benchmarks

test-integration: .venv/installed-dev .venv-moto/installed ## jobs and adapters on real PostgreSQL, MLflow, GX, Evidently, S3
	$(BIN)/pytest -q $(SIDE_BY_SIDE) tests/integration

test-dags: .venv/installed-dev .venv-moto/installed ## the DAGs and the plugin
	$(BIN)/pytest -q tests/dags

test-api: .venv/installed-dev ## the API, in process and under gunicorn
	$(BIN)/pytest -q $(SIDE_BY_SIDE) tests/api

test-faults: .venv/installed-dev ## the night killed, cut, stopped and starved, on real PostgreSQL
	$(BIN)/pytest -q $(SIDE_BY_SIDE) tests/faults

test-soak: .venv/installed-dev ## five minutes of callers while versions, MLflow, PostgreSQL and workers come and go; the smallest benchmarks
	$(BIN)/pytest -q tests/soak

test-e2e: .venv/installed-dev .venv-moto/installed ## the whole platform, driven over REST
	$(BIN)/pytest -q tests/e2e

test-page: .venv/installed-dev $(AXE) ## the page at / in headless Chromium: answers, keyboard, axe-core, forged forms
	@$(CHROMIUM)
	$(BIN)/pytest -q tests/page

test-words: .venv/installed-dev ## the words of this list that are about the code: each does what it says
	$(BIN)/pytest -q $(SIDE_BY_SIDE) tests/words

test-containers: .venv/installed-dev ## build the images and run the whole job in the stack, with Docker or without
	$(BIN)/pytest -q -x --capture=no tests/containers

test-cluster: .venv/installed-dev .venv-moto/installed ## the job on two workers without a shared disk, one of them killed (as root, 8 minutes)
	@command -v redis-server >/dev/null && command -v ip >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server iproute2 >/dev/null; }
	@CLUSTER_SANDBOX=yes unshare --net --mount --pid --fork --mount-proc --kill-child sh -c 'mount -t tmpfs run /run && exec $(BIN)/pytest -q tests/cluster'

test-terraform: .venv/installed-dev .venv-moto/installed .venv-checks/installed ## fmt, validate, mock tests, checkov; staging applied to an emulated AWS and destroyed
	@command -v terraform >/dev/null || { echo "Install Terraform 1.11 or newer: https://developer.hashicorp.com/terraform/install"; exit 1; }
	$(BIN)/pytest -q $(SIDE_BY_SIDE) tests/terraform

test: .venv/installed-dev .venv-moto/installed $(AXE) ## everything, fast parts first, two suites at once
	@$(CHROMIUM)
	@$(MAKE) $(TWO_AT_ONCE) lint test-unit
	@$(MAKE) $(TWO_AT_ONCE) test-e2e test-integration test-faults test-api test-dags test-words test-page

test-coverage: .venv/installed-dev .venv-moto/installed ## which lines the unit and integration tests run
	$(BIN)/pytest -q $(SIDE_BY_SIDE) --cov=churn --cov-report=term-missing:skip-covered tests/unit tests/integration

ci: ## what continuous integration runs
	@bash .ci/run

performance-test: .venv/installed-dev ## the benchmarks at 100 k customers (some minutes)
	@$(BIN)/python -m tests.benchmarks --sizes 100000 $(BENCH)

security-scan: .venv/installed-dev .venv-checks/installed ## bandit, detect-secrets, pip-audit, checkov: clean, or explained in place
	@.venv-checks/bin/python tests/security_scan.py

bench: .venv/installed-dev ## the night beside what is usually written, at 100 k, 1 M and 10 M customers (half an hour)
	@$(BIN)/python -m tests.benchmarks $(BENCH)

screenshots: .venv/installed-dev ## take the README's pictures from the running platform (OUT=another folder)
	@$(CHROMIUM)
	$(BIN)/python docs/take_screenshots.py "$(or $(OUT),docs/images)"

# What looks for weaknesses has pins of its own.
.venv-checks/installed: tests/requirements-checks.txt .venv/installed
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-checks
	$(BIN)/uv pip sync --quiet --python .venv-checks/bin/python tests/requirements-checks.txt
	@touch $@

# A stand-in for S3, for tests only: it wants a newer boto3 than s3fs allows, so it lives on its own.
.venv-moto/installed: tests/requirements-moto.txt .venv/installed
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-moto
	$(BIN)/uv pip sync --quiet --python .venv-moto/bin/python tests/requirements-moto.txt
	@touch $@

lock: .venv/installed-dev ## write the pins of the *.in files; those that still hold stay
	$(RESOLVE) requirements.in -o requirements.txt
	$(RESOLVE) requirements-dev.in -o requirements-dev.txt
	$(RESOLVE) -c requirements.txt api/requirements.in -o api/requirements.txt
	$(RESOLVE) tests/requirements-moto.in -o tests/requirements-moto.txt
	$(RESOLVE) tests/requirements-checks.in -o tests/requirements-checks.txt

clean: ## remove caches (nothing below .local/ and .venv*/)
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . \( -path './.venv*' -o -path ./.local \) -prune -o -name __pycache__ -prune -exec rm -rf {} +
