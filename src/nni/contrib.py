"""NNI's ``nni.contrib``, which this project does not continue: importing it says what to use instead."""

from nni import errors

raise errors.RemovedModuleError(
    "nni.contrib (NNI's experiments) is not part of nni-kubeflow, which only tunes: "
    "keep nni 3.0 in an environment of its own for it.",
    name="nni.contrib",
)
