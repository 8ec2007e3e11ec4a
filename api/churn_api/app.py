"""The app factory. Each gunicorn worker calls it once, after the fork."""

from flask import Flask

from churn.db.database import Database
from churn.policy import Policy
from churn.registry import Registry
from churn.settings import Settings
from churn_api import batch, customers, explain, health, metrics, model, openapi, predict
from churn_api.bodies import MAXIMUM_BODY_BYTES
from churn_api.night import Night
from churn_api.problems import answer_with_problems
from churn_api.production import FollowedModel
from churn_api.request_log import log_requests, log_to_stderr
from churn_api.start import require_registry_address, require_schema

MODULES = (predict, batch, explain, customers, model, health, metrics, openapi)
SECONDS_FOR_FIRST_LOOK = 20.0  # the libraries are imported meanwhile; below gunicorn's timeout


def create_app(settings: Settings | None = None, check_schema: bool = True) -> Flask:
    """The API over the services that `settings` name (default: the CHURN_* variables).

    Starts following the Production model and waits up to SECONDS_FOR_FIRST_LOOK for it, so that a new worker
    has its model before its first request; without one the app starts all the same and /predict answers 503.
    `check_schema` is False under gunicorn, whose master has checked once: a worker that is replaced while the
    API runs must come back whatever the database does.
    Raises ConfigurationError or SchemaBehind, each with the operator's next step.
    """
    settings = settings or Settings()
    log_to_stderr()
    registry_address = require_registry_address(settings)
    if check_schema:
        require_schema(settings)
    app = Flask("churn_api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAXIMUM_BODY_BYTES + 1
    app.url_map.strict_slashes = False
    app.extensions["policy"] = Policy.load(settings.policy_file)
    app.extensions["night"] = night = Night(_database(settings))
    app.extensions["production"] = production = FollowedModel(Registry(registry_address))
    log_requests(app)
    metrics.count_requests(app)
    answer_with_problems(app)
    for module in MODULES:
        app.register_blueprint(module.blueprint)
    night.follow()
    production.follow(SECONDS_FOR_FIRST_LOOK)
    return app


def _database(settings: Settings) -> Database | None:
    url = settings.api_database_url
    return Database(url.get_secret_value()) if url else None
