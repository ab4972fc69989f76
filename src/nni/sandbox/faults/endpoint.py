"""The control API: ``/sandbox/faults`` on the sandbox's own server, for the owner of its admin token.

``GET`` lists, ``POST`` takes one fault, a list or ``{"faults": [...]}``, ``DELETE`` takes all back, and
``DELETE /sandbox/faults/<id>`` one. None of it is touched by any fault.
"""

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from nni import errors
from nni.sandbox import status
from nni.sandbox.faults import board, reading

PREFIX = "/sandbox"


class Endpoint:
    """Answers the requests."""

    def __init__(self, faults: board.Board, operators: Sequence[str]) -> None:
        self._faults = faults
        self._operators = operators

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Do what a request for a path below ``PREFIX`` asks. Raises refusals."""
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["sandbox", "faults"]:
                return _json(200, {"faults": [_described(entry) for entry in self._faults]})
            case "POST", ["sandbox", "faults"]:
                added = self._faults.add(self._read(await request.read()))
                return _json(201, {"faults": [_described(entry) for entry in added]})
            case "DELETE", ["sandbox", "faults"]:
                self._faults.clear()
                return _json(200, status.success({}))
            case "DELETE", ["sandbox", "faults", fault_id]:
                if not self._faults.remove(fault_id):
                    raise status.Refusal(404, "NotFound", f'fault "{fault_id}" not found')
                return _json(200, status.success({"name": fault_id, "kind": "faults"}))
            case _:
                raise status.no_such_path()

    def _read(self, body: bytes) -> Any:
        try:
            return reading.read(json.loads(body), self._operators)
        except ValueError as error:
            if not isinstance(error, errors.ConfigError):
                raise status.bad_request(f"the body is not JSON: {error}") from error
            causes = [{"field": each.path, "message": each.message} for each in error.problems]
            message = "; ".join(map(str, error.problems))
            raise status.Refusal(422, "Invalid", message, {"causes": causes}) from error


def _described(entry: board.Entry) -> dict[str, Any]:
    return {"id": entry.id, **reading.write(entry.fault), "hits": entry.hits, "isOver": entry.is_over}


def _json(code: int, body: Any) -> web.Response:
    return web.Response(text=json.dumps(body), status=code, content_type="application/json")
