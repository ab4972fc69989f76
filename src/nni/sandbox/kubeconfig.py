"""The kubeconfig that lets clients in: address, authority and token in one file that its owner alone may read."""

import base64
import json
import os
import pathlib


def write(path: pathlib.Path, url: str, authority: bytes, token: str) -> None:
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
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [
            {"name": "nni-sandbox", "context": {"cluster": "nni-sandbox", "user": "admin", "namespace": "default"}}
        ],
        "current-context": "nni-sandbox",
    }
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
