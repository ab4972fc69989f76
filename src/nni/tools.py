"""NNI's ``nni.tools``, which this project does not continue: importing it says what to use instead."""

from nni import errors

raise errors.RemovedModuleError(
    "nni.tools (NNI's internals) is not part of nni-kubeflow, which only tunes: use the command nnictl instead.",
    name="nni.tools",
)
