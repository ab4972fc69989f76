"""Errands: what the manager has a porter do on a claim that it does not have itself.

A porter is a pod that mounts the claim. It asks the intake for errands, and each request brings the answers to the
errands before it: ``POST /api/v1/intake/<experiment>/porter``. An answer of 200 holds errands; 204 means that there are
none yet, after a while in which the request was held; 410 that the porter may go. Errands may be repeated: what was not
answered is given out again.

Both bodies are a line of JSON, a list of objects, and behind it the bytes that belong to each (``size`` says how many).
"""

import json
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence, Tuple

from nni import errors
from nni.wire import intake, report

MOST_BYTES = 32 << 20
"""Of a body, in both directions."""
HOLD_SECONDS = 20.0
"""How long a request is held when there is nothing to do; proxies cut connections that say nothing for a minute."""
VERBS = ("delete", "list", "make", "put", "read", "rename", "stat", "usage")


class Errand(NamedTuple):
    """One thing to be done with a path: the calls of ``Volume``."""

    number: int
    verb: str
    path: str
    target: str = ""
    """Where ``rename`` moves it."""
    offset: int = 0
    """Where ``read`` begins."""
    limit: int = 0
    """Bytes that ``read`` returns at most."""
    content: bytes = b""
    """What ``put`` writes."""


class Answer(NamedTuple):
    """What came of an errand."""

    number: int
    result: Any = None
    """Of ``list`` the names, of ``stat`` what ``nni.runtime.tree.Found`` has, of ``usage`` the bytes."""
    error: str = ""
    """Why it could not be done, as a sentence; empty when it was."""
    content: bytes = b""
    """What ``read`` read."""
    is_denied: bool = False
    """Whether it could not be done since the porter has no right to."""


def path(experiment_id: str) -> str:
    """Return the path of an experiment's porter at the intake."""
    return intake.PREFIX + experiment_id + "/porter"


def encode_errands(errands: Iterable[Errand]) -> bytes:
    """Return the body that gives errands out."""
    return _encode((errand._asdict(), errand.content) for errand in errands)


def decode_errands(body: bytes) -> List[Errand]:
    """Check a body that gives errands out.

    Raises:
        WireError: It comes from something else than an intake.
    """
    return [_errand(head, content) for head, content in _decode(body)]


def encode_answers(answers: Iterable[Answer]) -> bytes:
    """Return the body that answers errands."""
    return _encode((answer._asdict(), answer.content) for answer in answers)


def decode_answers(body: bytes) -> List[Answer]:
    """Check a body that answers errands.

    Raises:
        WireError: It comes from something else than a porter.
    """
    return [_answer(head, content) for head, content in _decode(body)]


def _errand(head: Mapping[str, Any], content: bytes) -> Errand:
    numbers = [head.get(name) for name in ("number", "offset", "limit")]
    texts = [head.get(name) for name in ("verb", "path", "target")]
    if not all(_is_count(number) for number in numbers) or not all(isinstance(text, str) for text in texts):
        raise errors.WireError("the body holds something that is no errand")
    if head["verb"] not in VERBS:
        raise errors.WireError(f"there is no errand {head['verb']!r}")
    return Errand(content=content, **{name: head[name] for name in Errand._fields if name != "content"})


def _answer(head: Mapping[str, Any], content: bytes) -> Answer:
    if not _is_count(head.get("number")) or not isinstance(head.get("error"), str):
        raise errors.WireError("the body holds something that is no answer")
    return Answer(head["number"], head.get("result"), head["error"], content, head.get("is_denied") is True)


def _encode(parts: Iterable[Tuple[Mapping[str, Any], bytes]]) -> bytes:
    heads: List[Dict[str, Any]] = []
    contents: List[bytes] = []
    for said, content in parts:
        heads.append({name: value for name, value in said.items() if name != "content"})
        heads[-1]["size"] = len(content)
        contents.append(content)
    # ASCII: names with bytes that are no UTF-8 pass as they are.
    return b"\n".join((json.dumps(heads).encode("ascii"), b"".join(contents)))


def _decode(body: bytes) -> Sequence[Tuple[Mapping[str, Any], bytes]]:
    line, _, rest = body.partition(b"\n")
    heads = report.parse(line)
    if not isinstance(heads, list) or not all(isinstance(head, dict) and _is_count(head.get("size")) for head in heads):
        raise errors.WireError("the body does not begin with a list of objects")
    if sum(head["size"] for head in heads) != len(rest):
        raise errors.WireError("the body is not as long as it says")
    parts, begin = [], 0
    for head in heads:
        parts.append((head, rest[begin : begin + head["size"]]))
        begin += head["size"]
    return parts


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0
