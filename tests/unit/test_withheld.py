"""What a configuration shows of secrets: nothing."""

from typing import Any

import pytest

from nni.server.withheld import HIDDEN, without_secrets


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"env": {"HF_TOKEN": "abc", "EPOCHS": "3"}}, {"env": {"HF_TOKEN": HIDDEN, "EPOCHS": "3"}}),
        (
            {"env": [{"name": "DB_PASSWORD", "value": "abc"}, {"name": "MODE", "value": "fast"}]},
            {"env": [{"name": "DB_PASSWORD", "value": HIDDEN}, {"name": "MODE", "value": "fast"}]},
        ),
        (
            {"HF_TOKEN": {"secretKeyRef": {"name": "hub", "key": "token"}}},
            {"HF_TOKEN": {"secretKeyRef": {"name": "hub", "key": "token"}}},
        ),
        (
            {"secretName": "azure", "imagePullSecrets": ["hub"], "keyVaultKey": "storage"},
            {"secretName": "azure", "imagePullSecrets": ["hub"], "keyVaultKey": "storage"},
        ),
        (
            "WANDB_API_KEY=abc python3 train.py --token def --lr 0.1",
            f"WANDB_API_KEY={HIDDEN} python3 train.py --token {HIDDEN} --lr 0.1",
        ),
        ("python3 token counter.py", "python3 token counter.py"),
        ("pip install git+https://me:abc@git.example/x", f"pip install git+https://me:{HIDDEN}@git.example/x"),
        ([1, None, True, "text", ("a",)], [1, None, True, "text", ["a"]]),
        ({"author": "me", "optimizer": "adam"}, {"author": "me", "optimizer": "adam"}),
    ],
)
def test_what_looks_like_a_secret_is_hidden(given: Any, expected: Any) -> None:
    assert without_secrets(given) == expected
