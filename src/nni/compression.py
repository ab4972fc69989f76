"""NNI's ``nni.compression``, which this project does not continue: importing it says what to use instead."""

from nni import errors

raise errors.RemovedModuleError(
    "nni.compression (model compression) is not part of nni-kubeflow, which only tunes: "
    "keep nni 3.0 in an environment of its own for it, or use torch.ao.",
    name="nni.compression",
)
