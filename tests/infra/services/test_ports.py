import socket
from unittest.mock import patch

from infra.services import ports
from infra.services.ports import LOOPBACK, free_port, free_ports, is_free


def test_a_port_somebody_listens_on_is_not_free() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
    assert is_free(port)


def test_ports_given_away_together_differ() -> None:
    first, second = free_port(), free_port()
    with patch.object(ports._random, "randrange", side_effect=[first, first, first, second]):
        assert free_ports(("a", "b")) == {"a": first, "b": second}
