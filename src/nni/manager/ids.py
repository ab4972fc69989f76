"""Makes trial ids: 5 lower-case letters and digits, a letter first, legal in every Kubernetes name."""

import random
import string
from collections.abc import Container

from nni.core import model

LENGTH = 5


def new_trial_id(taken: Container[model.TrialId], draw: random.Random) -> model.TrialId:
    """Return an id that is not taken."""
    while True:
        tail = draw.choices(string.ascii_lowercase + string.digits, k=LENGTH - 1)
        trial_id = model.TrialId(draw.choice(string.ascii_lowercase) + "".join(tail))
        if trial_id not in taken:
            return trial_id
