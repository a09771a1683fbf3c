"""What every answer tells a browser to be careful about."""

import httpx
import pytest


@pytest.mark.parametrize("path", ["/v2/generations", "/healthz", "/nowhere", "/dashboard/sign-in"])
def test_every_answer_keeps_browsers_careful(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert len(headers["x-request-id"]) == 32


def test_pages_run_our_own_scripts_alone(client: httpx.Client) -> None:
    policy = client.get("/dashboard/sign-in").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy or "script-src 'self'" in policy
    assert "default-src 'none'" in client.get("/v2/errors").headers["content-security-policy"]


def test_browsers_that_came_over_tls_come_back_over_tls(client: httpx.Client) -> None:
    assert "strict-transport-security" not in client.get("/healthz").headers
    over_tls = client.get("/healthz", headers={"x-forwarded-proto": "https"})
    assert over_tls.headers["strict-transport-security"] == "max-age=31536000"


def test_no_other_site_may_read_answers(client: httpx.Client) -> None:
    asked = {"origin": "https://elsewhere.example", "access-control-request-method": "GET"}
    for answer in (
        client.get("/v2/errors", headers=asked),
        client.options("/v2/errors", headers=asked),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
