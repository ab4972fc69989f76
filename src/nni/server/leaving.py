"""What a stop waits for on the platform, and what it leaves there, as people read it."""

from nni.core import state as states
from nni.server import views

MOST_NAMED = 5


def leaving(state: states.State, removal: str) -> views.Json | None:
    """Return what a stop waits for and what it has left, None when there was no stop."""
    if not state.stop_requested:
        return None
    return {"jobs": state.leaving, "left": left(state, removal), "removal": removal or None}


def left(state: states.State, removal: str) -> str | None:
    """Return what may be left on the platform of an experiment that has stopped, as a sentence with the remedy."""
    if not state.left or not removal:
        return None
    others = len(state.left) - MOST_NAMED
    names = ", ".join(state.left[:MOST_NAMED]) + (f" and {others} others" if others > 0 else "")
    return f"These jobs may be left on the cluster: {names}. This removes them: {removal}"
