"""The app factory. Each gunicorn worker calls it once, after the fork."""

from flask import Flask

from churn.policy import Policy
from churn.registry import Registry
from churn.settings import Settings
from churn_api import batch, customers, explain, health, metrics, model, openapi, predict
from churn_api.arms import split_requests
from churn_api.at_once import AtOnce
from churn_api.auth import authenticate
from churn_api.bodies import MAXIMUM_BODY_BYTES
from churn_api.journal import keep_requests
from churn_api.night import Night
from churn_api.page import views
from churn_api.page.session import keep_sessions
from churn_api.problems import answer_with_problems
from churn_api.production import FollowedModel
from churn_api.request_log import log_requests, log_to_stderr
from churn_api.scoring import Scorer
from churn_api.start import api_database, require_registry_address, require_schema

MODULES = (predict, batch, explain, customers, model, health, metrics, openapi, views)
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
    database = api_database(settings)
    app.extensions["night"] = night = Night(database)
    app.extensions["production"] = production = FollowedModel(Registry(registry_address))
    app.extensions["scorer"] = Scorer(app.extensions["policy"], night)
    keep_sessions(app, settings)
    log_requests(app)
    metrics.count_requests(app)
    answer_with_problems(app)
    authenticate(app, database, app.extensions["policy"])
    for module in MODULES:
        app.register_blueprint(module.blueprint)
    night.follow()
    production.follow(SECONDS_FOR_FIRST_LOOK)
    arms = split_requests(app, Registry(registry_address), app.extensions["policy"])
    keep_requests(app, database, arms.with_shadow)
    app.extensions["at_once"] = AtOnce(app)
    return app
