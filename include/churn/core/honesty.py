"""How an AUC of 0.95 is made on data that allow 0.85: resampling before the split, side by side with resampling after.

Resampling before the split puts copies of a judged customer, or points between that customer and its neighbours, among
the training rows, and judges on rows that nobody ever was. Kept inside the training rows of each fold the same
techniques are judged on real customers only.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from churn.core.candidates import logistic_inputs
from churn.core.evaluation import auc_interval, corrected_interval
from churn.core.features import FeatureEncoder, Matrix
from churn.core.splits import Fold, grouped_folds
from churn.core.training import TrainingData
from churn.policy import Policy
from churn.records import Interval

Place = Literal["before the split", "inside the training folds"]
Labels = NDArray[np.integer]
Resample = Callable[[Matrix, Labels], tuple[Matrix, Labels]]

TECHNIQUES = ("none", "random oversampling", "SMOTE", "SMOTE-ENN")
_TREES = 100  # scikit-learn's default, as in the projects that report 0.95


@dataclass(frozen=True)
class Claim:
    """What a cross-validation reports for one way to resample; `judged_count` are the rows that it judged on.

    `roc_auc` is the mean over folds with the corrected interval of Nadeau and Bengio. That interval, too, believes
    the rows that it is given: on resampled ones it is narrow and wrong.
    """

    technique: str
    resampled: Place | None
    judged_count: int
    roc_auc: Interval

    def summary(self) -> dict[str, Any]:
        """One row for people."""
        return {
            "technique": self.technique,
            "resampled": self.resampled or "-",
            "rows_judged": self.judged_count,
            "roc_auc": self.roc_auc.value,
            "low": self.roc_auc.low,
            "high": self.roc_auc.high,
        }


def claims(data: TrainingData, policy: Policy) -> Iterator[Claim]:
    """Each technique, resampled before the split and inside the folds, with the same random forest on the same folds.

    One after the other, because each takes a while. Raises NothingToTrainOn as `training.cross_validate`.
    """
    encoder = FeatureEncoder.from_contract()
    matrix, labels = encoder.encode(data.features), data.labels
    folds = grouped_folds(labels, data.groups, policy.fold_count, policy.seed)
    for technique in TECHNIQUES:
        resample = _resampler(technique, policy.seed)
        if technique == "none":
            yield _claim(technique, None, encoder, matrix, labels, resample, folds, policy)
            continue
        rows, repeated = resample(_numbers(encoder, matrix).transform(matrix), labels)
        yield _leaked(technique, rows, repeated, policy)
        yield _claim(technique, "inside the training folds", encoder, matrix, labels, resample, folds, policy)


def _claim(
    technique: str,
    place: Place | None,
    encoder: FeatureEncoder,
    matrix: Matrix,
    labels: Labels,
    resample: Resample,
    folds: Sequence[Fold],
    policy: Policy,
) -> Claim:
    """Everything that learns, learns from the training rows of a fold; real customers are judged."""
    aucs = []
    for training, judging in folds:
        numbers = _numbers(encoder, matrix[training])
        forest = _fit(*resample(numbers.transform(matrix[training]), labels[training]), policy.seed)
        aucs.append(_auc(forest, numbers.transform(matrix[judging]), labels[judging]))
    return Claim(technique, place, len(labels), _mean(aucs, policy))


def _leaked(technique: str, rows: Matrix, labels: Labels, policy: Policy) -> Claim:
    """What is usually published: the resampled rows are split, so that copies stand on both sides."""
    folds = grouped_folds(labels, np.arange(len(labels)), policy.fold_count, policy.seed)
    aucs = [
        _auc(_fit(rows[training], labels[training], policy.seed), rows[judging], labels[judging])
        for training, judging in folds
    ]
    return Claim(technique, "before the split", len(labels), _mean(aucs, policy))


def _resampler(technique: str, seed: int) -> Resample:
    """The technique as imbalanced-learn does it."""
    from imblearn.combine import SMOTEENN
    from imblearn.over_sampling import SMOTE, RandomOverSampler

    makers: dict[str, Callable[..., Any]] = {
        "random oversampling": RandomOverSampler,
        "SMOTE": SMOTE,
        "SMOTE-ENN": SMOTEENN,
    }
    if technique == "none":
        return lambda rows, labels: (rows, labels)
    resample: Resample = makers[technique](random_state=seed).fit_resample
    return resample


def _numbers(encoder: FeatureEncoder, matrix: Matrix) -> Any:
    """Categories as one-hot and numbers standardised, as learned from these rows: SMOTE needs distances."""
    return logistic_inputs(encoder).fit(matrix)


def _fit(rows: Matrix, labels: Labels, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(_TREES, random_state=seed, n_jobs=1).fit(rows, labels)


def _auc(forest: Any, rows: Matrix, labels: Labels) -> float:
    return auc_interval(labels, forest.predict_proba(rows)[:, 1], 0.95).value


def _mean(aucs: Sequence[float], policy: Policy) -> Interval:
    return corrected_interval(aucs, 1 / policy.fold_count, policy.confidence)
