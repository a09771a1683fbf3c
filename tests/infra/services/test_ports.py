import socket

from infra.services.ports import LOOPBACK, free_port, is_free


def test_a_port_somebody_listens_on_is_not_free() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
    assert is_free(port)
