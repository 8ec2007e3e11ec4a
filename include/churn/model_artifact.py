"""The artifact of a version: model, reference, policy, signature, and the code to load it; no pickle."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.columns import FEATURES
from churn.policy import Policy

if TYPE_CHECKING:
    import pandas as pd

MODEL_FOLDER = "artifacts/churn_model"  # where MLflow puts the model's files in the artifact
REFERENCE_FILE = "artifacts/reference.parquet"
POLICY_FILE = "artifacts/policy.json"

PACKAGE = Path(__file__).parent
# What `churn.mlflow_model` imports: enough to load and ask a model, nothing that knows the platform.
CARRIED_MODULES = (
    "__init__.py",
    "columns.py",
    "errors.py",
    "core/__init__.py",
    "core/candidates.py",
    "core/features.py",
    "core/model.py",
)
REQUIREMENTS = ("numpy", "pandas", "scipy", "scikit-learn", "skops", "lightgbm", "xgboost-cpu")


def log_artifact(
    tracking_uri: str, run_id: str, files: Mapping[str, bytes], reference: "pd.DataFrame", policy: Policy
) -> str:
    """Log a model's files with its reference and policy as an MLflow pyfunc model made from code.

    Returns the id of MLflow's logged model. The run stays as it is. Raises what MLflow raises.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    with tempfile.TemporaryDirectory(prefix="churn-artifact-") as name, _fluent_address(tracking_uri):
        folder = Path(name)
        logged = Model.log(
            artifact_path=None,
            flavor=mlflow.pyfunc,
            name="churn",
            run_id=run_id,
            python_model=str(PACKAGE / "mlflow_model.py"),
            artifacts=_write_artifacts(folder, files, reference, policy),
            code_paths=[str(_copy_code(folder))],
            pip_requirements=[f"{package}=={importlib.metadata.version(package)}" for package in REQUIREMENTS],
            signature=_signature(),
            input_example=example_customers(),
        )
    return logged.model_id


def example_customers() -> "pd.DataFrame":
    """One made-up customer with every feature: the first category of each, a year of tenure."""
    import pandas as pd

    numbers = {"SeniorCitizen": 0.0, "tenure": 12.0, "MonthlyCharges": 70.0, "TotalCharges": 840.0}
    return pd.DataFrame([{c.name: numbers.get(c.name) if c.is_number else c.categories[0] for c in FEATURES}])


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
    model_folder = folder / Path(MODEL_FOLDER).name
    model_folder.mkdir()
    for name, content in files.items():
        (model_folder / name).write_bytes(content)
    reference_path, policy_path = folder / Path(REFERENCE_FILE).name, folder / Path(POLICY_FILE).name
    reference.to_parquet(reference_path, index=False)
    policy_path.write_text(policy.model_dump_json(indent=1), "utf-8")
    return {path.stem: str(path) for path in (model_folder, reference_path, policy_path)}


def _copy_code(folder: Path) -> Path:
    copy = folder / "code" / PACKAGE.name
    for module in CARRIED_MODULES:
        (copy / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PACKAGE / module, copy / module)
    return copy


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
