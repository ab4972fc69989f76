"""A trial: train a small network on the digits data set and report its accuracy after every epoch.

Each replica holds another fifth of the data back to validate on. Only the chief's results (here the master's) steer the
search; those of the other replicas are kept beside them.
"""

import os

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import nni

FOLDS = 5


def main() -> None:
    """Train with the parameters of this trial."""
    parameters = nni.get_next_parameter()
    epochs = int(parameters.get("epochs", 12))
    fold = int(os.environ.get("RANK", "0")) % FOLDS

    images, labels = load_digits(return_X_y=True)
    images = images / 16.0
    held_back = np.arange(len(labels)) % FOLDS == fold

    network = MLPClassifier(
        hidden_layer_sizes=(parameters.get("hidden_units", 32),),
        activation=parameters.get("activation", "relu"),
        learning_rate_init=parameters.get("learning_rate", 1e-3),
        alpha=parameters.get("alpha", 1e-4),
        batch_size=parameters.get("batch_size", 32),
        random_state=0,
    )
    accuracy = 0.0
    for epoch in range(epochs):
        network.partial_fit(images[~held_back], labels[~held_back], classes=np.arange(10))
        accuracy = network.score(images[held_back], labels[held_back])
        print(f"epoch {epoch + 1}/{epochs}: accuracy {accuracy:.4f} on fold {fold}", flush=True)
        nni.report_intermediate_result(accuracy)
    nni.report_final_result(accuracy)


if __name__ == "__main__":
    main()
