"""How this package's servers answer: compact JSON, long arrays in pieces, and errors of one sentence."""

import asyncio
import itertools
from collections.abc import Iterable

from aiohttp import web

from nni.core import model
from nni.core import state as states
from nni.core import trial as trials
from nni.server import views

CHUNK = 200
"""Objects of a long answer that are encoded between two looks at other work."""


def refuse(status: type[web.HTTPError], sentence: str, **more: object) -> web.HTTPError:
    """Return an error answer to be raised: ``{"error": <sentence>}`` and what else is known."""
    return status(text=views.compact({"error": sentence, **more}), content_type="application/json")


def refuse_size(sentence: str, most: int) -> web.HTTPError:
    """Return the error answer to a body of more than ``most`` bytes."""
    text = views.compact({"error": sentence})
    return web.HTTPRequestEntityTooLarge(most, most, text=text, content_type="application/json")


def named(state: states.State, trial_id: str) -> trials.Trial:
    """Return a trial by its id, or raise the error answer that there is none."""
    known = state.trials.get(model.TrialId(trial_id))
    if known is None:
        raise refuse(web.HTTPNotFound, f"Experiment {state.experiment_id} has no trial {trial_id}.")
    return known


def json(value: object) -> web.Response:
    """Return a JSON answer."""
    return web.json_response(value, dumps=views.compact)


async def array(request: web.Request, items: Iterable[views.Json]) -> web.StreamResponse:
    """Answer with a JSON array, encoded piece by piece so that the loop does other work in between."""
    response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    response.enable_compression()
    await response.prepare(request)
    opening = b"["
    left = iter(items)
    while chunk := ",".join(views.compact(item) for item in itertools.islice(left, CHUNK)):
        await response.write(opening + chunk.encode())
        await asyncio.sleep(0)
        opening = b","
    await response.write(b"[]" if opening == b"[" else b"]")
    await response.write_eof()
    return response
