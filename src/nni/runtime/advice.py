"""What in a command or a code directory keeps the trial from finding the nni that travelled with it."""

import os
import re
from typing import List

_OWN_PATH = re.compile(r"(?:^|[\s;&|(])(?:export\s+|env\s+)?PYTHONPATH=(\S*)")
_ISOLATED = re.compile(r"\bpython[0-9.]*\s+(?:-[A-Za-z]+\s+)*-[A-Za-z]*([IE])")


def give(command: str, directory: str) -> List[str]:
    """Return one sentence for each thing that was noticed."""
    advice = []
    own_path = _OWN_PATH.search(command)
    if own_path and "PYTHONPATH" not in own_path.group(1):
        given = own_path.group(1).strip("'\"")
        advice.append(f"the command sets PYTHONPATH and may find another nni: write PYTHONPATH={given}:$PYTHONPATH")
    isolated = _ISOLATED.search(command)
    if isolated:
        advice.append(
            f"the command starts Python with -{isolated.group(1)}, which ignores PYTHONPATH: it finds the nni of the "
            "image or none, and without that option the one of this experiment"
        )
    return advice + [
        f"the code directory holds {name}, which hides the nni of this experiment: give it another name"
        for name in ("nni", "nni.py")
        if os.path.exists(os.path.join(directory, name))
    ]
