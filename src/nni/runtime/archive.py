"""The runtime as one file: everything that travels to pods, as an archive that ``python3`` runs."""

import hashlib
import io
import os
import zipfile
from typing import Iterator, NamedTuple, Tuple

# The only module of ours that may meet a Python older than 3.8, so that it can say so.
_MAIN = """\
import os
import sys

if sys.version_info < (3, 8):
    sys.stderr.write(
        "nni: this trial cannot start: python3 of the image is %d.%d; use an image with Python 3.8 or newer.\\n"
        % sys.version_info[:2]
    )
    sys.exit(126)

from nni.runtime import main

os._exit(main.main(sys.argv[1:], archive=sys.argv[0]))
"""

_TRAVELS = ("__init__.py", "_version.py", "errors.py", "parameter_expressions.py", "trial.py", "utils.py")
_PACKAGES = ("wire", "runtime")
_GONE = (
    "algorithms.py",
    "common.py",
    "compression.py",
    "contrib.py",
    "feature_engineering.py",
    "mutable.py",
    "nas.py",
    "retiarii.py",
    "tools.py",
)
# What only works where the experiment was started.
_STAYS = ("assessor", "experiment", "testing", "tuner")
_STAY = (
    "raise ModuleNotFoundError(\n"
    '    "nni.{name} works where the experiment is started, not in its trials: import it in a file of its own, or "\n'
    '    "only where it is used.",\n'
    '    name="nni.{name}",\n'
    ")\n"
)


class Archive(NamedTuple):
    """The runtime's archive."""

    content: bytes
    digest: str
    """sha256 of the content, in hexadecimal: its name on the volume."""


def build() -> Archive:
    """Pack the runtime. The same sources give the same bytes, whoever packs them."""
    stream = io.BytesIO()
    # Stored, not deflated: the bytes then depend on no zlib, and a Python without one can read them.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(_files()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, content)
    content = stream.getvalue()
    return Archive(content, hashlib.sha256(content).hexdigest())


def _files() -> Iterator[Tuple[str, bytes]]:
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    yield "__main__.py", _MAIN.encode("ascii")
    for name in _TRAVELS + _GONE:
        yield "nni/" + name, _read(source, name)
    for name in _STAYS:
        yield "nni/" + name + ".py", _STAY.format(name=name).encode("ascii")
    for package in _PACKAGES:
        for name in os.listdir(os.path.join(source, package)):
            if name.endswith(".py") and name != "archive.py":
                yield "nni/" + package + "/" + name, _read(source, package, name)


def _read(*names: str) -> bytes:
    with open(os.path.join(*names), "rb") as file:
        return file.read()
