"""The kubeconfigs that let clients in: address, authority and token in one file that its owner alone may read."""

import base64
import json
import pathlib

RESTRICTED = "nni-user"
"""The user of the second kubeconfig."""


def restricted(path: pathlib.Path) -> pathlib.Path:
    """Say where the second kubeconfig goes: beside the first."""
    return path.with_name(f"{path.name}.{RESTRICTED}")


def write(path: pathlib.Path, url: str, authority: bytes, user: str, token: str) -> None:
    """Write the file anew with mode 0600. It is JSON, which is YAML too."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "nni-sandbox",
                "cluster": {"server": url, "certificate-authority-data": base64.b64encode(authority).decode()},
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [
            {"name": "nni-sandbox", "context": {"cluster": "nni-sandbox", "user": user, "namespace": "default"}}
        ],
        "current-context": "nni-sandbox",
    }
    # Whoever reads it while it is renewed gets the old one or the new one, whole.
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_text(json.dumps(content, indent=2) + "\n")
    new.replace(path)
