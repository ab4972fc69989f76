"""NNI's ``nni.common``, which this project does not continue: importing it says what to use instead."""

from nni import errors

raise errors.RemovedModuleError(
    "nni.common (NNI's internals) is not part of nni-kubeflow, which only tunes: "
    "use json for what nni.common.serializer did.",
    name="nni.common",
)
