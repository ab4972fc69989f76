"""NNI's ``nni.feature_engineering``, which this project does not continue: importing it says what to use instead."""

from nni import errors

raise errors.RemovedModuleError(
    "nni.feature_engineering (feature engineering) is not part of nni-kubeflow, which only tunes: "
    "keep nni 2.10 in an environment of its own for it, or use scikit-learn's feature selection.",
    name="nni.feature_engineering",
)
