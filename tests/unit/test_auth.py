"""Who is let in: tokens, cookies, Host headers, pages of other origins."""

import pytest

from nni.core import model
from nni.server import auth

GUARD = auth.Guard(model.ExperimentId("exp1"), "s3cret")


@pytest.mark.parametrize(
    ("headers", "cookies", "expected"),
    [
        ({}, {}, False),
        ({"Authorization": "Bearer s3cret"}, {}, True),
        ({"Authorization": "bearer   s3cret "}, {}, True),
        ({"Authorization": "Bearer s3cre"}, {}, False),
        ({"Authorization": "Bearer \udce9"}, {}, False),
        ({"Authorization": "Bearer"}, {}, False),
        ({"Authorization": "Basic s3cret"}, {}, False),
        ({}, {"nni-exp1": "s3cret"}, True),
        ({}, {"nni-exp1": ""}, False),
        ({}, {"nni-exp2": "s3cret"}, False),
        ({"Authorization": "Bearer wrong"}, {"nni-exp1": "s3cret"}, False),
    ],
)
def test_a_request_shows_the_token_in_its_header_or_its_cookie(
    headers: dict[str, str], cookies: dict[str, str], expected: bool
) -> None:
    assert GUARD.knows(headers, cookies) is expected


def test_a_guard_does_not_print_its_token() -> None:
    assert "s3cret" not in repr(GUARD)


@pytest.mark.parametrize(
    ("bind", "host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LOCALHOST.:8080", True),
        ("127.0.0.1", "[::1]:8080", True),
        ("127.0.0.1", "10.0.0.5:8080", False),
        ("127.0.0.1", "evil.example:8080", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "proxy.example", True),
        ("10.0.0.5", "10.0.0.5:8080", True),
        ("10.0.0.5", "10.0.0.6:8080", False),
        ("0.0.0.0", "10.0.0.6:8080", True),
        ("0.0.0.0", "[fd00::1]:8080", True),
        ("0.0.0.0", "evil.example", False),
        ("::", "evil.example", False),
    ],
)
def test_hosts_that_are_answered(bind: str, host: str, expected: bool) -> None:
    assert auth.Hosts.of(bind, extra=["Proxy.example"]).allows(host) is expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "localhost:1"}, False),
        ({"Host": "localhost:1", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Host": "localhost:1", "Sec-Fetch-Site": "none"}, False),
        ({"Host": "localhost:1", "Sec-Fetch-Site": "same-site"}, True),
        ({"Host": "localhost:1", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, False),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, True),
        ({"Host": "localhost:1", "Origin": "null"}, True),
    ],
)
def test_pages_of_other_origins_are_told_apart(headers: dict[str, str], expected: bool) -> None:
    assert auth.is_foreign(headers) is expected
