"""A person's word on what the gate has proposed: with evidence, once, and only while the comparison still holds."""

import json
from collections.abc import Callable

import mlflow
import pytest
from typer.testing import CliRunner

from churn.cli import app as commands
from churn.db import promotions
from churn.errors import AlreadyRunning, ArtifactRejected, NoProductionModel, PromotionRefused
from churn.jobs.promote_model import promote_model, reject_proposal
from churn.jobs.roll_back_model import roll_back_model
from churn.policy import Policy
from churn.records import Decision
from churn.registry import MODEL_NAME
from churn.services import Services
from tests.jobs import admit_simulated, lightly, register_model, retrain_logistic
from tests.jobs import promote_model as make_production
from tests.makefile import make, said_well

APPROVED = Decision(True, "The challenger meets every rule.", ())
REASON = "Looks right in the campaign's pilot."


@pytest.fixture
def services(services: Services) -> Services:
    """Services whose policy leaves promotions to people."""
    return lightly(services, promotion_mode="approve")


def serving(services: Services) -> int | None:
    try:
        return services.registry.production_version().version
    except NoProductionModel:
        return None


def propose(services: Services, seed: int, digest: str | None = None) -> int:
    """Let the gate propose the version of a seed, compared with what serves."""
    number = register_model(services, seed)
    with services.database.transaction() as connection:
        promotions.record(
            connection,
            decision=APPROVED,
            model_version=number,
            previous_version=serving(services),
            evidence={"digest": digest or services.registry.version(number).digest, "holdout": {"seed": seed}},
            policy=services.policy,
        )
    services.registry.stage(number)
    return number


def ledger(services: Services) -> list[dict[str, object]]:
    """The entries, oldest first."""
    with services.database.transaction() as connection:
        return connection.execute("SELECT * FROM churn.promotions ORDER BY promotion_id").fetchall()


def test_what_the_gate_proposes_serves_when_a_person_says_so(services: Services) -> None:
    admit_simulated(services, count=3_000)
    proposed = retrain_logistic(services)
    assert proposed.awaits_approval
    assert serving(services) is None
    staged = services.registry.staging_version()
    assert staged is not None
    assert (staged.version, staged.stage) == (proposed.model_version, "staging")

    done = promote_model(services, proposed.model_version, REASON, by="ann")

    assert (done.model_version, done.replaced_version) == (proposed.model_version, None)
    assert services.registry.production_version().stage == "production"
    assert services.registry.staging_version() is None
    asked, said = ledger(services)
    assert [asked["decision"], said["decision"]] == ["proposed", "promoted"]
    assert (said["decided_by"], said["reason"], said["previous_version"]) == ("ann", REASON, None)
    assert isinstance(said["evidence"], dict)
    assert isinstance(asked["evidence"], dict)
    assert said["evidence"]["proposal_id"] == asked["promotion_id"]
    assert said["evidence"]["rules"] == asked["evidence"]["rules"]
    with services.database.transaction() as connection:
        assert promotions.production_auc(connection, proposed.model_version) == proposed.holdout.roc_auc
        compared = connection.execute("SELECT model_digest FROM churn.engines").fetchall()
    assert [row["model_digest"] for row in compared] == [asked["evidence"]["digest"]]


def test_the_word_of_the_makefile_promotes_the_challenger_with_the_reason_that_was_given(services: Services) -> None:
    proposed = propose(services, 2)
    where = {
        "CHURN_DATABASE_URL": services.database.url,
        "MLFLOW_TRACKING_URI": services.tracking.tracking_uri,
        "COLUMNS": "200",
    }
    told = said_well(make("deploy-best-model", f"REASON={REASON}", variables=where))
    assert REASON in told
    assert serving(services) == proposed
    assert [(entry["decision"], entry["reason"]) for entry in ledger(services)][1:] == [("promoted", REASON)]


def test_a_version_that_the_gate_has_not_approved_is_refused(services: Services) -> None:
    production, unjudged, kept = make_production(services, 1), register_model(services, 2), register_model(services, 3)
    with services.database.transaction() as connection:
        promotions.record(
            connection,
            decision=Decision(False, "Production stays: a tie.", ()),
            model_version=kept,
            previous_version=production,
            evidence={"digest": services.registry.version(kept).digest},
            policy=services.policy,
        )
    for number in (unjudged, kept, 9_999):
        with pytest.raises(PromotionRefused, match=f"Version {number} was not approved") as refused:
            promote_model(services, number, REASON)
        assert "churn history" in refused.value.next_step
    assert serving(services) == production
    assert len(ledger(services)) == 1


def test_a_proposal_is_refused_once_another_version_serves_than_it_was_compared_with(services: Services) -> None:
    old = make_production(services, 1)
    proposed = propose(services, 2)
    now = make_production(services, 3)
    with pytest.raises(PromotionRefused, match=f"while version {old} served; now version {now} serves") as refused:
        promote_model(services, proposed, REASON)
    assert "Retrain" in refused.value.next_step
    assert serving(services) == now
    assert [entry["decision"] for entry in ledger(services)] == ["proposed"]


def test_an_artifact_that_is_not_what_the_gate_saw_is_refused(services: Services) -> None:
    proposed = propose(services, 2, digest="0" * 64)
    with pytest.raises(ArtifactRejected, match="expected 0000"):
        promote_model(services, proposed, REASON)
    assert serving(services) is None
    assert [entry["decision"] for entry in ledger(services)] == ["proposed"]


def test_a_rejection_keeps_production_and_the_name_of_who_said_no(services: Services) -> None:
    production = make_production(services, 1)
    proposed = propose(services, 2)
    reject_proposal(services, proposed, "Rejected by ben: not before the holidays.", by="ben", request="run 1")
    reject_proposal(services, proposed, "Rejected by ben: not before the holidays.", by="ben", request="run 1")
    assert serving(services) == production
    _, said = ledger(services)
    assert (said["decision"], said["model_version"], said["decided_by"]) == ("kept", proposed, "ben")
    assert "ben" in str(said["reason"])

    promote_model(services, proposed, "ben has changed his mind", by="ben")
    assert serving(services) == proposed
    with pytest.raises(PromotionRefused, match="serves already") as refused:
        reject_proposal(services, proposed, "too late")
    assert "rollback" in refused.value.next_step


def dies_before(what: str) -> Callable[..., None]:
    def die(*_: object) -> None:
        raise KeyboardInterrupt(what)

    return die


def test_a_promotion_that_died_before_the_alias_moved_is_finished_and_entered_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    production = make_production(services, 1)
    proposed = propose(services, 2)
    with monkeypatch.context() as patch:
        patch.setattr(type(services.registry), "promote", dies_before("the alias moves"))
        with pytest.raises(KeyboardInterrupt):
            promote_model(services, proposed, REASON, request="run 1")
    assert serving(services) == production

    for _ in range(2):
        done = promote_model(services, proposed, REASON, request="run 1")
        assert (done.model_version, done.replaced_version) == (proposed, production)
    assert serving(services) == proposed
    assert [entry["decision"] for entry in ledger(services)] == ["proposed", "promoted"]


def test_a_task_that_wakes_late_does_not_undo_what_came_after_it(services: Services) -> None:
    with services.database.transaction() as connection:
        first = register_model(services, 1)
        promotions.record(
            connection,
            decision=APPROVED,
            model_version=first,
            previous_version=None,
            evidence={"digest": services.registry.version(first).digest},
            policy=Policy(),
        )
    services.registry.promote(first)
    proposed = propose(services, 2)
    promote_model(services, proposed, REASON, request="run 1")
    for _ in range(2):  # the same run again: a second rollback would be the way forth
        assert roll_back_model(services, "It alarms everybody.", by="ann", request="run 2").model_version == first
    promote_model(services, proposed, REASON, request="run 1")
    assert serving(services) == first
    *before, last = ledger(services)
    assert [entry["decision"] for entry in before] == ["promoted", "proposed", "promoted"]
    assert (last["decision"], last["decided_by"]) == ("rolled_back", "ann")


def test_of_a_version_that_serves_already_only_the_tags_are_mended(services: Services) -> None:
    proposed = propose(services, 2)
    promote_model(services, proposed, REASON)
    client = mlflow.MlflowClient(services.registry.tracking_uri)
    client.set_model_version_tag(MODEL_NAME, str(proposed), "stage", "development")
    promote_model(services, proposed, REASON)
    assert services.registry.production_version().stage == "production"
    assert len(ledger(services)) == 2


def test_one_decision_at_a_time(services: Services) -> None:
    proposed = propose(services, 2)
    with services.database.lock("promotion"), pytest.raises(AlreadyRunning):
        promote_model(services, proposed, REASON)
    with services.database.lock("promotion"), pytest.raises(AlreadyRunning):
        reject_proposal(services, proposed, REASON)


def test_the_command_promotes_with_a_reason_and_the_name_of_who_asked(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposed = propose(services, 2)
    monkeypatch.setenv("CHURN_DATABASE_URL", services.database.url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", services.registry.tracking_uri)
    monkeypatch.setenv("USER", "ann")
    assert CliRunner().invoke(commands, ["promote", str(proposed)]).exit_code == 2  # without a reason
    arguments = ["promote", "--reason", REASON, "--json"]  # the one that waits
    done = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    assert json.loads(done.stdout)[0]["production"] == proposed == serving(services)
    shown = CliRunner().invoke(commands, ["history", "--json"], catch_exceptions=False)
    assert [(row["decision"], row["decided_by"]) for row in json.loads(shown.stdout)] == [
        ("promoted", "ann"), ("proposed", "churn_pipeline"),
    ]  # fmt: skip
    with pytest.raises(PromotionRefused, match="No version waits"):
        CliRunner().invoke(commands, arguments, catch_exceptions=False)
