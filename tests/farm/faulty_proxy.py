"""The way to the bucket, which can be made bad: answers 503, or lets bytes through one by one."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from infra.services.ports import LOOPBACK, free_port
from tests.patience import LONG_SECONDS

_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: application/xml\r\nContent-Length: 60\r\n\r\n"
    b"<Error><Code>SlowDown</Code><Message>later</Message></Error>"
)
_BLOCK = 1 << 16

#: What gets through when the way is slow, bytes a second in each direction.
_SLOW = 200_000


class FaultyProxy:
    """Passes TCP on to a port of this machine, as well as it is told to."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._how = "ok"
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server((LOOPBACK, self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def misbehave(self, how: str) -> None:
        """``ok``, ``503`` or ``slow``, for what comes now; what was open is cut off."""
        self._how = how
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.misbehave("ok")

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._kept(client), contextlib.suppress(OSError):
            if self._how == "503":
                client.recv(_BLOCK)
                client.sendall(_UNAVAILABLE)
                client.shutdown(socket.SHUT_WR)
                client.settimeout(1)
                while client.recv(_BLOCK):
                    pass
                return
            server = socket.create_connection((LOOPBACK, self._target), timeout=LONG_SECONDS)
            server.settimeout(None)
            with self._kept(server):
                back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
                back.start()
                self._pass(client, server)
                back.join()

    @contextlib.contextmanager
    def _kept(self, connection: socket.socket) -> Iterator[None]:
        self._open.add(connection)
        try:
            with connection:
                yield
        finally:
            self._open.discard(connection)

    def _pass(self, from_: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := from_.recv(_BLOCK):
                if self._how == "slow":
                    time.sleep(len(block) / _SLOW)
                to.sendall(block)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)
