"""After the night: what was published, in sums that people may see who may not see a customer."""

import logging

from churn.db import scores, scoring_runs
from churn.db.migrations import require_current_schema
from churn.services import Services

log = logging.getLogger(__name__)


def summarise_scores(services: Services) -> list[int]:
    """Summarise every published run that is not summarised yet; return their numbers.

    It runs after publishing, so that no reader waits for it. Also what a person published or turned back to is found,
    and what an earlier attempt did not come to. Raises DatabaseUnavailable.
    """
    require_current_schema(services.database)
    with services.database.transaction() as connection:
        runs = scoring_runs.unsummarised(connection)
    for run in runs:
        with services.database.transaction() as connection:
            scores.keep_groups(connection, run)
        log.info("Scoring run %s is summarised.", run.scoring_run_id)
    return [run.scoring_run_id for run in runs]
