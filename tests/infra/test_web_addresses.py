"""How addresses of strangers are spoken of."""

import pytest

from infra.errors import FetchError
from infra.storage.web_addresses import check_address, shown


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:8971/x", "http://127.0.0.1:8971/x"),
        ("https://Media.Example/a%20b.mov?signature=secret", "https://media.example/a%20b.mov"),
        ("https://user:secret@media.example:8443/x#secret", "https://media.example:8443/x"),
        ("http://a@b:secret@[2001:db8::1]:80/x", "http://[2001:db8::1]:80/x"),
        ("http://media.example:none/x?secret", "http://media.example:none/x"),
        ("http://user:secret@[broken/x?secret", "[broken/x"),
    ],
)
def test_an_address_is_told_with_its_port_and_without_secrets(url: str, told: str) -> None:
    assert shown(url) == told


def test_an_address_with_a_password_is_refused_with_its_port() -> None:
    with pytest.raises(FetchError, match=r"^http://media\.example:8971/x: no user name"):
        check_address("http://user:secret@media.example:8971/x")
