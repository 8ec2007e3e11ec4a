"""What MLflow runs to load a registered churn model: "models from code", so no pickle is written or read.

MLflow copies this file into the artifact next to the model's own files and the modules of `churn` that it
needs: `mlflow.pyfunc.load_model("models:/churn@production")` works where this package is not installed.
"""

from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from churn.core.model import ChurnModel

ARTIFACT_NAME = "churn_model"


class RegisteredChurnModel(PythonModel):
    """Answers `predict` with the probability of leaving, (n,) float64 in 0..1, one for each customer."""

    def load_context(self, context: Any) -> None:
        """Read the model's files. Raises ArtifactRejected where one is missing or damaged."""
        folder = Path(context.artifacts[ARTIFACT_NAME])
        self.model = ChurnModel.from_files({path.name: path.read_bytes() for path in folder.iterdir()})

    # No type hints here: MLflow would read them as a schema of its own beside the signature.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """The probability of leaving for a frame with extract columns, any subset in any order."""
        return self.model.predict(model_input)


set_model(RegisteredChurnModel())
