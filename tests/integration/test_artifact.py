"""The artifact of every kind of model with every calibration: no pickle in it, nothing missing, at home anywhere."""

import gzip
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import joblib
import mlflow
import numpy as np
import pandas as pd
import pytest
import requests

from churn import model_artifact
from churn.columns import BY_NAME, COLUMNS
from churn.core.calibration import METHODS, Method, fit_calibration
from churn.core.candidates import CANDIDATES, Kind
from churn.core.contributions import contributions_of
from churn.core.model import ChurnModel
from churn.core.reasons import top_reasons
from churn.core.training import TrainingData, draw_reference, fit_model
from churn.errors import ArtifactRejected
from churn.model_artifact import (
    ARTIFACT_DIGEST_TAG,
    CONTENTS_FILE,
    CONTRACT_FILE,
    POLICY_FILE,
    REFERENCE_FILE,
    require_intact,
)
from churn.platform.ports import LOOPBACK
from churn.policy import Policy
from churn.records import ModelVersion
from churn.registry import MODEL_NAME, Registry
from churn.simulator import simulate
from churn.tracking import Tracking
from tests.conftest import TestMlflow
from tests.pickles import pickles_under
from tests.server import Server, random_free_port

POLICY = Policy()
CUSTOMERS = next(simulate(1_500, seed=21))
DATA = TrainingData.from_extract(CUSTOMERS, date(2026, 11, 1), "c" * 64)
SMALL = {"random_forest": {"n_estimators": 10}, "logistic": {}}


@dataclass(frozen=True)
class Registered:
    """A model, and what became of it."""

    model: ChurnModel
    version: ModelVersion
    folder: Path  # where the server keeps the artifact
    tracking_uri: str

    @property
    def logged_digest(self) -> str:
        """The tag `artifact_digest` of MLflow's logged model."""
        client = mlflow.MlflowClient(self.tracking_uri)
        return client.get_logged_model(self.folder.parent.name).tags[ARTIFACT_DIGEST_TAG]


Every = dict[tuple[Kind, Method], Registered]


@pytest.fixture(scope="module")
def every(mlflow_server: TestMlflow) -> Every:
    """Each kind of model, with each calibration, registered."""
    models = {(kind, method): calibrated(kind, method) for kind in CANDIDATES for method in METHODS}
    return {names: register(mlflow_server, model) for names, model in models.items()}


def calibrated(kind: Kind, method: Method) -> ChurnModel:
    model = fit_model(kind, DATA, POLICY, SMALL.get(kind, {"rounds": 20}))
    return replace(model, calibration=fit_calibration(method, DATA.labels, model.predict(CUSTOMERS) ** 1.5))


def register(server: TestMlflow, model: ChurnModel) -> Registered:
    run = Tracking(server.tracking_uri).start_run("a retraining")
    reference = draw_reference(model, DATA, POLICY, 300)
    version = Registry(server.tracking_uri).register(model, run.run_id, reference, POLICY)
    source = mlflow.MlflowClient(server.tracking_uri).get_model_version(MODEL_NAME, str(version.version)).source
    (found,) = server.artifacts.rglob(source.removeprefix("models:/"))
    return Registered(model, version, found / "artifacts", server.tracking_uri)


@pytest.fixture
def one(every: Every, tmp_path: Path) -> Registered:
    """A forest with knots, in a copy of its artifact that a test may damage."""
    registered = every["random_forest", "isotonic"]
    copy = tmp_path / registered.folder.parent.name / "artifacts"
    shutil.copytree(registered.folder, copy)
    return replace(registered, folder=copy)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", CANDIDATES)
def test_no_file_of_the_artifact_is_or_holds_a_pickle(every: Every, kind: Kind, method: Method) -> None:
    folder = every[kind, method].folder
    names = {path.name for path in folder.rglob("*") if path.is_file()}

    assert names >= {"MLmodel", "model.json", "reference.parquet", "policy.json", "columns.json", "calibration.py"}
    assert pickles_under(folder) == []


def test_models_from_code_need_nothing_that_unpickles(every: Every) -> None:
    # MLflow notes the version of its own cloudpickle in every MLmodel; what would read a pickle is `python_model`.
    for registered in every.values():
        flavor = mlflow.models.Model.load(str(registered.folder)).flavors["python_function"]
        required = (registered.folder / "requirements.txt").read_text()

        assert flavor["model_code_path"].endswith("mlflow_model.py")
        assert "python_model" not in flavor
        assert "cloudpickle" not in required
        assert "joblib" not in required


def write_pickle(protocol: int, folder: Path) -> None:
    (folder / "artifacts/reference.bin").write_bytes(pickle.dumps({"a": 1}, protocol))


def write_zip_member(folder: Path) -> None:
    with zipfile.ZipFile(folder / "artifacts/churn_model/estimator.skops", "a") as archive:
        archive.writestr("extra", pickle.dumps([1]))


def write_objects(folder: Path) -> None:
    np.save(folder / "artifacts/extra.npy", np.array([{}, None], object), allow_pickle=True)


def write_objects_in_skops(folder: Path) -> None:
    np.save(folder / "extra.npy", np.array([{}], object), allow_pickle=True)
    with zipfile.ZipFile(folder / "artifacts/churn_model/estimator.skops", "a") as archive:
        archive.write(folder / "extra.npy", "extra.npy")
    (folder / "extra.npy").unlink()


PLANTED = {
    **{f"protocol {p}": (lambda folder, p=p: write_pickle(p, folder)) for p in range(pickle.HIGHEST_PROTOCOL + 1)},
    "cut off": lambda folder: (folder / "x").write_bytes(pickle.dumps([1, 2, 3])[:-1]),
    "followed by bytes": lambda folder: (folder / "x").write_bytes(pickle.dumps([1], 0) + b"\n\xff"),
    "compressed": lambda folder: (folder / "x").write_bytes(gzip.compress(pickle.dumps([1]))),
    "joblib": lambda folder: joblib.dump({"a": np.arange(9)}, folder / "x", compress=3),
    "python_model.pkl": lambda folder: (folder / "python_model.pkl").write_bytes(b""),
    "in the .skops file": write_zip_member,
    "objects in an array": write_objects,
    "objects in the .skops file": write_objects_in_skops,
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_pickle_is_found(one: Registered, planted: str) -> None:
    assert pickles_under(one.folder) == []

    PLANTED[planted](one.folder)

    assert len(pickles_under(one.folder)) == 1


def test_the_artifact_carries_reference_policy_contract_and_the_wording_of_reasons(every: Every) -> None:
    for registered in every.values():
        contract = json.loads((registered.folder / CONTRACT_FILE).read_text())
        reference = pd.read_parquet(registered.folder / REFERENCE_FILE)

        assert [column["name"] for column in contract["columns"]] == [column.name for column in COLUMNS]
        assert {column["name"]: tuple(column["categories"]) for column in contract["columns"]} == {
            name: column.categories for name, column in BY_NAME.items()
        }
        assert [d["service"] for d in contract["dependencies"]] == ["PhoneService", "InternetService"]
        assert json.loads((registered.folder / POLICY_FILE).read_text()) == POLICY.model_dump(mode="json")
        np.testing.assert_array_equal(reference["churn_probability"], registered.model.predict(reference))
        for module in model_artifact.CARRIED_MODULES:
            written = model_artifact.PACKAGE / module
            assert (registered.folder / "code/churn" / module).read_bytes() == written.read_bytes()


def test_an_artifact_as_it_was_registered_is_intact(every: Every) -> None:
    digests = [registered.logged_digest for registered in every.values()]

    for registered, digest in zip(every.values(), digests, strict=True):
        require_intact(registered.folder, digest)
    assert len(set(digests)) == len(digests)


COVERED = (
    "artifacts/churn_model/model.json",
    "artifacts/reference.parquet",
    "artifacts/policy.json",
    "artifacts/columns.json",
    "artifacts/contents.json",
    "code/churn/core/reasons.py",
    "mlflow_model.py",
)


@pytest.mark.parametrize("name", COVERED)
def test_a_changed_file_is_named_before_anything_is_loaded(one: Registered, name: str) -> None:
    (one.folder / name).write_bytes((one.folder / name).read_bytes() + b" ")

    with pytest.raises(ArtifactRejected, match=Path(name).name):
        require_intact(one.folder, one.logged_digest)
    if name != CONTENTS_FILE:
        require_intact(one.folder, one.logged_digest, [other for other in COVERED[:-1] if other != name][:3])


def test_a_lost_or_added_file_is_named(one: Registered) -> None:
    (one.folder / "code/churn/core/extra.py").write_text("raise SystemExit")
    with pytest.raises(ArtifactRejected, match=r"extra\.py"):
        require_intact(one.folder, one.logged_digest)
    (one.folder / "code/churn/core/extra.py").unlink()
    (one.folder / POLICY_FILE).unlink()
    with pytest.raises(ArtifactRejected, match=r"policy\.json"):
        require_intact(one.folder, one.logged_digest)


def test_one_file_alone_can_be_verified(one: Registered, tmp_path: Path) -> None:
    for name in (CONTENTS_FILE, REFERENCE_FILE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(one.folder / name, tmp_path / name)

    require_intact(tmp_path, one.logged_digest, [REFERENCE_FILE])
    with pytest.raises(ArtifactRejected, match=r"policy\.json"):
        require_intact(tmp_path, one.logged_digest, [REFERENCE_FILE, POLICY_FILE])
    with pytest.raises(ArtifactRejected, match=r"contents\.json"):
        require_intact(tmp_path, None, [REFERENCE_FILE])


@pytest.fixture(scope="module")
def clean_python(every: Every, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has what the artifact's own requirements.txt names, and nothing of this project."""
    texts = {(registered.folder / "requirements.txt").read_text() for registered in every.values()}
    (requirements,) = texts
    folder = tmp_path_factory.mktemp("clean")
    (folder / "requirements.txt").write_text(requirements)
    uv, python = Path(sys.executable).with_name("uv"), folder / "venv/bin/python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "-r", folder / "requirements.txt"], check=True)
    assert f"mlflow=={mlflow.__version__}" in requirements
    return python


ASK = """
import json, pickle, sys
try:
    import churn
    raise SystemExit("churn is installed here")
except ModuleNotFoundError:
    import mlflow.pyfunc, numpy, pandas
import sklearn, scipy.special, skops.io, lightgbm, xgboost

unpickled = []
def note(event, details):
    if event == "pickle.find_class":
        unpickled.append(details)
sys.addaudithook(note)

work = json.load(open(sys.argv[1]))
mlflow.set_tracking_uri(work["tracking_uri"])
frames = {name: pandas.read_parquet(path) for name, path in work["frames"].items()}
answers = {}
for version in work["versions"]:
    model = mlflow.pyfunc.load_model(f"models:/churn/{version}")
    for name, frame in frames.items():
        answers[f"{version} {name}"] = model.predict(frame)
during_the_work = list(unpickled)
pickle.loads(pickle.dumps(numpy.random.RandomState))
assert len(unpickled) > len(during_the_work), "the hook sees nothing"

import churn
from churn.core.features import FeatureEncoder
from churn.core.reasons import top_reasons
explained = mlflow.pyfunc.load_model(f"models:/churn/{work['explained']}").unwrap_python_model().model
matrix = explained.encoder.encode(frames["explained"])
contributions = explained.estimator.predict(matrix, pred_contrib=True)[:, :-1]
reasons = top_reasons(explained.encoder, matrix, contributions)
numpy.savez(work["answers"], **answers)
json.dump({
    "unpickled": [str(details) for details in during_the_work],
    "package": churn.__file__,
    "reasons": [reasons.of(row) for row in range(len(matrix))],
}, open(work["report"], "w"))
"""


def ask_elsewhere(
    python: Path, every: Every, frames: dict[str, pd.DataFrame], folder: Path
) -> tuple[dict[str, np.ndarray], SimpleNamespace]:
    """What the clean environment answers: probabilities by "version frame", and what it noticed."""
    paths = {name: folder / f"{name}.parquet" for name in frames}
    for name, frame in frames.items():
        frame.to_parquet(paths[name])
    work = {
        "tracking_uri": next(iter(every.values())).tracking_uri,
        "frames": {name: str(path) for name, path in paths.items()},
        "versions": [registered.version.version for registered in every.values()],
        "explained": every["lightgbm", "platt"].version.version,
        "answers": str(folder / "answers.npz"),
        "report": str(folder / "report.json"),
    }
    (folder / "work.json").write_text(json.dumps(work))
    # -I: no PYTHONPATH, no user site, and not the folder where the test runs.
    subprocess.run([python, "-I", "-c", ASK, str(folder / "work.json")], check=True, cwd=folder)
    report = SimpleNamespace(**json.loads((folder / "report.json").read_text()))
    return dict(np.load(folder / "answers.npz")), report


def assert_same_everywhere(python: Path, every: Every, customers: pd.DataFrame, folder: Path) -> None:
    partial = customers[["Contract", "tenure", "MonthlyCharges"]].assign(tenure=[None, *customers["tenure"][1:]])
    frames = {"whole": customers, "partial": partial, "explained": customers.head(300)}

    answers, report = ask_elsewhere(python, every, frames, folder)

    assert len(answers) == len(every) * len(frames)
    for registered in every.values():
        for name, frame in frames.items():
            answer = answers[f"{registered.version.version} {name}"]
            np.testing.assert_array_equal(answer, registered.model.predict(frame))
    assert report.unpickled == []
    assert "/code/churn/" in report.package
    explained = every["lightgbm", "platt"].model
    matrix = explained.encoder.encode(frames["explained"])
    reasons = top_reasons(explained.encoder, matrix, contributions_of(explained, matrix).contributions(matrix))
    assert report.reasons == [reasons.of(row) for row in range(len(matrix))]


def test_the_artifact_alone_answers_with_the_same_bits_on_simulated_customers(
    clean_python: Path, every: Every, tmp_path: Path
) -> None:
    assert_same_everywhere(clean_python, every, CUSTOMERS, tmp_path)


def test_the_artifact_alone_answers_with_the_same_bits_on_every_row_of_the_real_file(
    clean_python: Path, every: Every, tmp_path: Path, telco: pd.DataFrame
) -> None:
    assert_same_everywhere(clean_python, every, telco, tmp_path)


@pytest.fixture
def scoring_server(clean_python: Path, every: Every, tmp_path: Path) -> Iterator[str]:
    """`mlflow models serve` of the clean environment, as it is."""
    port, registered = random_free_port(), every["xgboost", "platt"]
    command = [
        str(clean_python), "-I", "-m", "mlflow", "models", "serve",
        "--model-uri", f"models:/{MODEL_NAME}/{registered.version.version}",
        "--env-manager", "local", "--host", LOOPBACK, "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    environment = {
        "MLFLOW_TRACKING_URI": registered.tracking_uri,
        "PATH": f"{clean_python.parent}:/usr/bin:/bin",  # the server starts `python` and `uvicorn` by name
    }
    server = Server(command, f"http://{LOOPBACK}:{port}", tmp_path / "serve.log", environment)
    try:
        yield server.start("/ping").url
    finally:
        server.stop()


def test_mlflows_own_scoring_server_answers_with_the_same_bits(scoring_server: str, every: Every) -> None:
    some = CUSTOMERS.loc[:40, ["Contract", "tenure", "MonthlyCharges", "PaymentMethod"]].astype(object)
    some.loc[::7, ["tenure", "Contract"]] = None
    body = {"dataframe_split": {"columns": list(some.columns), "data": some.to_numpy().tolist()}}

    answered = requests.post(f"{scoring_server}/invocations", json=body, timeout=60)

    assert answered.ok, answered.text
    np.testing.assert_array_equal(answered.json()["predictions"], every["xgboost", "platt"].model.predict(some))
