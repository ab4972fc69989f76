"""NNI's ``nni.retiarii``, which this project does not continue: importing it says what to use instead."""

from nni import errors

raise errors.RemovedModuleError(
    "nni.retiarii (neural architecture search) is not part of nni-kubeflow, which only tunes: "
    "keep nni 2.10 in an environment of its own for it, or write the choices as a search space.",
    name="nni.retiarii",
)
