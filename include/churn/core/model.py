"""The churn model: encoder, estimator and calibration travel together, as files without any pickle."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from churn.core.calibration import Calibration
from churn.core.candidates import Kind
from churn.core.features import FeatureEncoder, Matrix
from churn.errors import ArtifactRejected

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2
# 1 had no calibration. What is registered must go on serving, so every format that was ever written is read.
READABLE_FORMATS = (1, FORMAT)
DESCRIPTION_FILE = "model.json"
NEXT_STEP = "Restore the artifact from a backup, or promote another version."

# Beyond what skops trusts by itself: a tree's arrays, and a dtype. Both are data: no code runs at load time.
TRUSTED_TYPES = ("numpy.dtype", "sklearn.tree._tree.Tree")


@dataclass(frozen=True)
class ChurnModel:
    """A trained model: the probability of leaving for customers as they are in an extract.

    `kind` is one of candidates.CANDIDATES; `estimator` is the library's own trained object; `calibration` makes
    a probability of what it answers.
    """

    kind: Kind
    encoder: FeatureEncoder
    estimator: Any
    calibration: Calibration = field(default_factory=Calibration.none)

    def predict(self, customers: "pd.DataFrame") -> NDArray[np.float64]:
        """The probability of leaving, (n,) in 0..1; the same bits whatever the order or number of rows."""
        return self.probabilities(self.encoder.encode(customers))

    def predict_record(self, record: Mapping[str, Any]) -> float:
        """The probability of leaving of one customer: bitwise what `predict` gives for the same row."""
        return float(self.probabilities(self.encoder.encode_record(record))[0])

    def probabilities(self, matrix: Matrix) -> NDArray[np.float64]:
        """The calibrated probability of leaving, (n,), of rows that `encoder` has encoded to (n, features)."""
        return self.calibration.apply(self.raw_probabilities(matrix))

    def raw_probabilities(self, matrix: Matrix) -> NDArray[np.float64]:
        """What the estimator itself answers, (n,) in 0..1, before any calibration."""
        if not len(matrix):  # the libraries refuse an empty matrix
            return np.empty(0)
        return _FORMATS[self.kind].probabilities(self.estimator, matrix)

    def to_files(self) -> dict[str, bytes]:
        """The model as named files: `model.json`, and the estimator in its library's own safe format."""
        form = _FORMATS[self.kind]
        content = form.dump(self.estimator)
        description = {
            "format": FORMAT,
            "kind": self.kind,
            "estimator_file": form.file_name,
            "estimator_sha256": hashlib.sha256(content).hexdigest(),
            "encoder": json.loads(self.encoder.to_json()),
            "calibration": self.calibration.to_state(),
        }
        text = json.dumps(description, indent=1, sort_keys=True)
        return {DESCRIPTION_FILE: text.encode(), form.file_name: content}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "ChurnModel":
        """Read what `to_files` wrote; the estimator is deserialised only after its hash has matched.

        Raises ArtifactRejected where a file is missing or damaged, or holds a type that is not trusted.
        """
        kind, encoder, calibration, expected = _read_description(files)
        form = _FORMATS[kind]
        content = _file(files, form.file_name)
        if hashlib.sha256(content).hexdigest() != expected:
            raise ArtifactRejected(f"{form.file_name} is not the file that {DESCRIPTION_FILE} names.", NEXT_STEP)
        return cls(kind, encoder, form.load(content), calibration)


def digest(files: Mapping[str, bytes]) -> str:
    """The SHA-256, in hex, of a model's files: names and bytes, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(files):
        # Hashes have one length, so no two sets of files can run together into the same bytes.
        total.update(hashlib.sha256(name.encode()).digest())
        total.update(hashlib.sha256(files[name]).digest())
    return total.hexdigest()


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise ArtifactRejected(f"The model artifact has no file {name}.", NEXT_STEP)
    return files[name]


def _read_description(files: Mapping[str, bytes]) -> tuple[Kind, FeatureEncoder, Calibration, str]:
    content = _file(files, DESCRIPTION_FILE)
    try:
        state = json.loads(content)
        if state["format"] not in READABLE_FORMATS or state["kind"] not in get_args(Kind):
            raise ValueError(f"format {state['format']} and kind {state['kind']} are not known here")
        return (
            state["kind"],
            FeatureEncoder.from_json(json.dumps(state["encoder"])),
            Calibration.none() if state["format"] == 1 else Calibration.from_state(state["calibration"]),
            state["estimator_sha256"],
        )
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactRejected(f"{DESCRIPTION_FILE} cannot be read: {error!r}.", NEXT_STEP) from error


@dataclass(frozen=True)
class _Format:
    """How the estimator of one kind is stored, restored and asked."""

    file_name: str
    dump: Callable[[Any], bytes]
    load: Callable[[bytes], Any]
    probabilities: Callable[[Any, Matrix], NDArray[np.float64]]


def _dump_lightgbm(booster: Any) -> bytes:
    return booster.model_to_string(num_iteration=-1).encode()


def _load_lightgbm(content: bytes) -> Any:
    import lightgbm

    try:
        return lightgbm.Booster(model_str=content.decode())
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise ArtifactRejected(f"LightGBM cannot read its model: {error}.", NEXT_STEP) from error


def _ask_lightgbm(booster: Any, matrix: Matrix) -> NDArray[np.float64]:
    return booster.predict(matrix, num_threads=1)


def _dump_xgboost(booster: Any) -> bytes:
    return bytes(booster.save_raw(raw_format="ubj"))


def _load_xgboost(content: bytes) -> Any:
    import xgboost

    try:
        return xgboost.Booster({"nthread": 1}, model_file=bytearray(content))
    except xgboost.core.XGBoostError as error:
        raise ArtifactRejected(f"XGBoost cannot read its model: {error}.", NEXT_STEP) from error


def _ask_xgboost(booster: Any, matrix: Matrix) -> NDArray[np.float64]:
    return booster.inplace_predict(matrix).astype(np.float64)


def _dump_sklearn(pipeline: Any) -> bytes:
    import skops.io

    return skops.io.dumps(pipeline)


def _load_sklearn(content: bytes) -> Any:
    import zipfile

    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    except (UntrustedTypesFoundException, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise ArtifactRejected(f"scikit-learn's estimator is not trusted: {error}.", NEXT_STEP) from error


def _ask_forest(pipeline: Any, matrix: Matrix) -> NDArray[np.float64]:
    return pipeline.predict_proba(matrix)[:, 1]


def _ask_logistic(pipeline: Any, matrix: Matrix) -> NDArray[np.float64]:
    return logistic_probabilities(pipeline[-1], pipeline[0].transform(matrix))


def logistic_probabilities(regression: Any, inputs: Matrix) -> NDArray[np.float64]:
    """The raw probabilities (n,) of a fitted logistic regression for its own inputs (n, inputs)."""
    from scipy.special import expit

    logit = np.full(len(inputs), regression.intercept_[0])
    # Term by term: a BLAS product gives other last bits for one row than for many.
    for column, coefficient in zip(inputs.T, regression.coef_[0], strict=True):
        logit += column * coefficient
    return expit(logit)


_FORMATS: dict[Kind, _Format] = {
    "lightgbm": _Format("estimator.txt", _dump_lightgbm, _load_lightgbm, _ask_lightgbm),
    "xgboost": _Format("estimator.ubj", _dump_xgboost, _load_xgboost, _ask_xgboost),
    "random_forest": _Format("estimator.skops", _dump_sklearn, _load_sklearn, _ask_forest),
    "logistic": _Format("estimator.skops", _dump_sklearn, _load_sklearn, _ask_logistic),
}
