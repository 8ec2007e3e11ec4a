"""The artifact of a version: model, reference, policy, contract, the code to load it and to name reasons; no pickle.

`contents.json` names every file that we put there, with its SHA-256, and its own SHA-256 is the tag
`artifact_digest` of MLflow's logged model. So what travels beside the model can be verified like the model itself:
whole, or the one file that somebody reads. MLflow's own files (MLmodel, requirements, input example) are not in it.
"""

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.markers import Marker

from churn.columns import COLUMNS, DEPENDENCIES, FEATURES
from churn.core.model import NEXT_STEP
from churn.errors import ArtifactRejected
from churn.policy import Policy

if TYPE_CHECKING:
    import pandas as pd

MODEL_FOLDER = "artifacts/churn_model"  # where MLflow puts the model's files in the artifact
REFERENCE_FILE = "artifacts/reference.parquet"
POLICY_FILE = "artifacts/policy.json"
CONTRACT_FILE = "artifacts/columns.json"
CONTENTS_FILE = "artifacts/contents.json"
CODE_FOLDER = "code/churn"
LOADER_FILE = "mlflow_model.py"
ARTIFACT_DIGEST_TAG = "artifact_digest"

PACKAGE = Path(__file__).parent
# What `churn.mlflow_model` imports, and the wording of reasons: enough to load and ask a model and to say in words
# why (core/reasons.py takes the contributions that the libraries give), nothing that knows the platform.
CARRIED_MODULES = (
    "__init__.py",
    "columns.py",
    "errors.py",
    "core/__init__.py",
    "core/calibration.py",
    "core/candidates.py",
    "core/features.py",
    "core/model.py",
    "core/reasons.py",
)
# Besides MLflow, which MLflow adds by itself in its own version.
REQUIREMENTS = ("numpy", "pandas", "scipy", "scikit-learn", "skops", "lightgbm")
XGBOOST = {"xgboost-cpu": 'sys_platform == "linux"', "xgboost": 'sys_platform != "linux"'}  # one library, two names


def log_artifact(
    tracking_uri: str, run_id: str, files: Mapping[str, bytes], reference: "pd.DataFrame", policy: Policy
) -> str:
    """Log a model's files with its reference, policy and contract as an MLflow pyfunc model made from code.

    Returns the id of MLflow's logged model. The run stays as it is. Raises what MLflow raises.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    with tempfile.TemporaryDirectory(prefix="churn-artifact-") as name, _fluent_address(tracking_uri):
        folder = Path(name)
        artifacts = _write_artifacts(folder, files, reference, policy)
        _copy_code(folder)
        digest = _write_contents(folder)
        logged = Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            name="churn",
            run_id=run_id,
            python_model=str(folder / LOADER_FILE),
            artifacts=artifacts,
            code_paths=[str(folder / CODE_FOLDER)],
            pip_requirements=_requirements(),
            signature=_signature(),
            input_example=example_customers(),
            tags={ARTIFACT_DIGEST_TAG: digest},
        )
    return logged.model_id


def example_customers() -> "pd.DataFrame":
    """One made-up customer with every feature: the first category of each, a year of tenure."""
    import pandas as pd

    numbers = {"SeniorCitizen": 0.0, "tenure": 12.0, "MonthlyCharges": 70.0, "TotalCharges": 840.0}
    return pd.DataFrame([{c.name: numbers.get(c.name) if c.is_number else c.categories[0] for c in FEATURES}])


def _requirements() -> list[str]:
    """What it takes to load a model anywhere, in the versions of here."""
    xgboost = next(package for package, marker in XGBOOST.items() if Marker(marker).evaluate())
    pins = [f"{package}=={importlib.metadata.version(package)}" for package in REQUIREMENTS]
    return pins + [f"{package}=={importlib.metadata.version(xgboost)}; {marker}" for package, marker in XGBOOST.items()]


@contextmanager
def _fluent_address(tracking_uri: str) -> Iterator[None]:
    """Model.log knows only MLflow's process-wide address: set it, and leave it as it was."""
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def _write_artifacts(
    folder: Path, files: Mapping[str, bytes], reference: "pd.DataFrame", policy: Policy
) -> dict[str, str]:
    """Write everything but code where it will be in the artifact; return MLflow's name and path of each."""
    (folder / MODEL_FOLDER).mkdir(parents=True)
    for name, content in files.items():
        (folder / MODEL_FOLDER / name).write_bytes(content)
    reference.to_parquet(folder / REFERENCE_FILE, index=False)
    (folder / POLICY_FILE).write_text(policy.model_dump_json(indent=1), "utf-8")
    (folder / CONTRACT_FILE).write_text(_contract(), "utf-8")
    paths = (MODEL_FOLDER, REFERENCE_FILE, POLICY_FILE, CONTRACT_FILE, CONTENTS_FILE)
    return {Path(path).stem: str(folder / path) for path in paths}


def _contract() -> str:
    """The column contract in force, for people and for programs that are not written in Python."""
    return json.dumps(
        {
            "columns": [asdict(column) for column in COLUMNS],
            "dependencies": [asdict(dependency) for dependency in DEPENDENCIES],
        },
        indent=1,
    )


def _copy_code(folder: Path) -> None:
    shutil.copyfile(PACKAGE / LOADER_FILE, folder / LOADER_FILE)
    for module in CARRIED_MODULES:
        copy = folder / CODE_FOLDER / module
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / module, copy)


def _write_contents(folder: Path) -> str:
    """Write CONTENTS_FILE and return its SHA-256, in hex."""
    content = json.dumps(_hashes(folder), indent=1, sort_keys=True).encode()
    (folder / CONTENTS_FILE).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _hashes(folder: Path) -> dict[str, str]:
    """The SHA-256, in hex, of each of our files in a folder, by its path in the artifact."""
    ours = [folder / LOADER_FILE, *(folder / "artifacts").rglob("*"), *(folder / "code").rglob("*")]
    files = {path.relative_to(folder).as_posix(): path for path in ours if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name != CONTENTS_FILE
    }


def require_intact(folder: Path, recorded: str | None, only: Collection[str] | None = None) -> None:
    """Verify a downloaded artifact against the recorded tag `artifact_digest`, before anything is loaded from it.

    `only` are the paths to look at where not everything was downloaded; CONTENTS_FILE must always be. Raises
    ArtifactRejected with the files that are missing, changed or not listed.
    """
    contents = folder / CONTENTS_FILE
    if not contents.is_file() or hashlib.sha256(contents.read_bytes()).hexdigest() != recorded:
        raise ArtifactRejected(f"{CONTENTS_FILE} is not the one with the recorded digest {recorded}.", NEXT_STEP)
    listed, found = json.loads(contents.read_bytes()), _hashes(folder)
    names = sorted(listed.keys() | found.keys()) if only is None else sorted(only)
    wrong = [name for name in names if name not in listed or listed[name] != found.get(name)]
    if wrong:
        raise ArtifactRejected(f"Not what was registered with the model: {', '.join(wrong)}.", NEXT_STEP)


def _signature() -> Any:
    """Every feature is optional, and a number may be whole, not whole, or text: the encoder reads them all.

    MLflow would refuse an int64 where a signature says double, and a missing value where it says long.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(AnyType() if column.is_number else "string", column.name, required=False) for column in FEATURES
    ]
    return ModelSignature(Schema(inputs), Schema([ColSpec("double")]))
