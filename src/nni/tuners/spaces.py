"""Which search spaces a tuner cannot have, known without importing the tuner."""

from collections.abc import Mapping

from nni.core import dimension, space
from nni.core.dimension import Space
from nni.tuners import budgets


def numbers_alone(what: Space) -> str | None:
    """Refuse choices: the tuner's distribution is one of numbers."""
    for one in space.walk(what):
        if isinstance(one, dimension.Choice | dimension.NestedChoice):
            return f"has the choice {one.key!r}, and CMA-ES takes numbers alone; use 'Auto', or take the choice out"
    return None


def without_budget(what: Space) -> str | None:
    """Refuse a parameter that is called as the budget is."""
    if any(one.key == budgets.BUDGET for one in what):
        return f"has the parameter {budgets.BUDGET!r}, which this tuner sets itself; give yours another name"
    return None


def one_choice(what: Space) -> str | None:
    """Refuse all but one choice whose options are whole sets of parameters."""
    if len(what) != 1 or not isinstance(what[0], dimension.Choice):
        return "is not one choice; with Batch it is a single choice whose options are the parameters of the trials"
    if all(isinstance(option, Mapping) for option in what[0].options):
        return None
    return "has an option that is not a mapping; with Batch each option is the whole of a trial's parameters"
