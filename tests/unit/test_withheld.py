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
        *(
            ({name: "abc"}, {name: HIDDEN})
            for name in (
                "api-key",
                "authorization",
                "connectionString",
                "storageKey",
                "PGPASSWORD",
                "awsSecretAccessKey",
            )
        ),
        *(
            ({name: value}, {name: value})
            for name, value in (
                ("maxTokens", 5),
                ("max_tokens", "512"),
                ("tokenizer", "bert"),
                ("publicKey", "abc"),
                ("tokenFile", "/run/token"),
                ("auth", True),
                ("token", ""),
            )
        ),
        ({"passwords": ["a", 1], "password": 1234}, {"passwords": [HIDDEN, HIDDEN], "password": HIDDEN}),
        (
            ["--token", "a b", "--api-key=a b", "--max-tokens", "5", "--with-auth", "--lr", "1", "-H Authorization: a"],
            [
                "--token",
                HIDDEN,
                f"--api-key={HIDDEN}",
                "--max-tokens",
                "5",
                "--with-auth",
                "--lr",
                "1",
                f"-H Authorization: {HIDDEN}",
            ],
        ),
        ("curl -H 'Authorization: Bearer sk-abc' --lr 1", f"curl -H 'Authorization: {HIDDEN}' --lr 1"),
        ("curl -H x-api-key:abc", f"curl -H x-api-key:{HIDDEN}"),
        ("x --auth zzz --pwd x --api-key abc --lr 1", f"x --auth {HIDDEN} --pwd {HIDDEN} --api-key {HIDDEN} --lr 1"),
        ("AccountKey=abc==;EndpointSuffix=x", f"AccountKey={HIDDEN};EndpointSuffix=x"),
        ("PRIVATE_KEY=xx PASSPHRASE='a b' c", f"PRIVATE_KEY={HIDDEN} PASSPHRASE={HIDDEN} c"),
        ("curl 'https://x/y?sig=abc%2B&se=1'", f"curl 'https://x/y?sig={HIDDEN}&se=1'"),
        ('x --secret-key="abc\\"def" --lr 1', f"x --secret-key={HIDDEN} --lr 1"),
        ('sh -c "TOKEN=\\"a b\\" x"', f'sh -c "TOKEN={HIDDEN} x"'),
        ("""curl -d '{"token": "a b", "x": 1}'""", f"""curl -d '{{"token": {HIDDEN}, "x": 1}}'"""),
        ("token='abc def", f"token={HIDDEN}"),
        ("git clone https://abc@git.example/x", f"git clone https://{HIDDEN}@git.example/x"),
        ("git clone ssh://git@git.example/x", "git clone ssh://git@git.example/x"),
        (
            "x --tokenizer bert --max_tokens 512 --with-auth --lr 1",
            "x --tokenizer bert --max_tokens 512 --with-auth --lr 1",
        ),
        ({"author": "me", "optimizer": "adam"}, {"author": "me", "optimizer": "adam"}),
    ],
)
def test_what_looks_like_a_secret_is_hidden(given: Any, expected: Any) -> None:
    assert without_secrets(given) == expected


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "-" * 100_000,
        "A" * 100_000 + "b",
        "token-" * 20_000,
        "token" + " " * 100_000,
        'token="' * 20_000,
        'token=\\"' * 20_000,
        "token: Bearer " * 10_000,
        "https://" + "a" * 100_000,
        "://" * 30_000,
    ],
    ids=lambda text: text[:8],
)
def test_a_long_word_is_looked_at_once(text: str) -> None:
    # What looks at it again from each of its letters takes minutes.
    without_secrets(text)
