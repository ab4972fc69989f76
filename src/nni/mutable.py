"""NNI's ``nni.mutable``, which this project does not continue: importing it says what to use instead."""

from nni import errors

raise errors.RemovedModuleError(
    "nni.mutable (mutable search spaces) is not part of nni-kubeflow, which only tunes: "
    "write the search space as a dict, as in {'lr': {'_type': 'loguniform', '_value': [0.0001, 0.1]}}.",
    name="nni.mutable",
)
