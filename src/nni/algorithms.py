"""NNI's ``nni.algorithms``, which this project does not continue: importing it says what to use instead."""

from nni import errors

raise errors.RemovedModuleError(
    "nni.algorithms (NNI's own tuners) is not part of nni-kubeflow, which only tunes: "
    "name a tuner in the configuration instead (tuner.name = 'TPE'), or subclass nni.tuner.Tuner.",
    name="nni.algorithms",
)
