"""Farms for whole-farm tests: started once a module, on a bucket whose way can be made bad."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.db.projects import create_api_key, create_project
from infra.db.session import Database
from infra.services.folder import FarmFolder
from infra.services.seaweed import running_seaweed
from pipeline.running.commands import run
from tests.farm.faults import Surroundings
from tests.farm.faulty_proxy import FaultyProxy
from tests.farm.harness import Client, Farm
from tests.patience import LONG_SECONDS

#: Of the workers' disk, where one of its own can be mounted.
_SCRATCH_BYTES = 512 << 20


@dataclass
class HurtFarm:
    """A farm, what can be done to it, and a look into its database."""

    around: Surroundings
    database: Database
    clients: list[Client] = field(default_factory=list)

    @property
    def farm(self) -> Farm:
        return self.around.farm

    def new_client(self) -> Client:
        """A client of a project of its own: it shares no artifact with anybody."""
        with self.database.transaction() as session:
            project = create_project(session, f"project {len(self.clients)}")
            key = create_api_key(session, project, "test", scopes=("read", "submit", "admin"))
        self.clients.append(self.farm.client(key.secret))
        return self.clients[-1]

    def close(self) -> None:
        self.database.close()
        for client in self.clients:
            client.close()


@pytest.fixture(scope="module")
def hurt_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HurtFarm]:
    folder = tmp_path_factory.mktemp("farm")
    crash_dir = folder / "crashes"
    crash_dir.mkdir()
    with running_seaweed(folder) as seaweed, _scratch(folder / "scratch") as scratch:
        proxy = FaultyProxy(seaweed.ports["s3"])
        environment = {
            "LIPFARM_CRASH_DIR": str(crash_dir),
            "LIPFARM_S3_ENDPOINT_URL": proxy.url,
            "LIPFARM_S3_PUBLIC_ENDPOINT_URL": seaweed.url,
            "LIPFARM_S3_BUCKET": "chaos",
            "LIPFARM_S3_ACCESS_KEY": seaweed.access_key,
            "LIPFARM_S3_SECRET_KEY": seaweed.secret_key,
        }
        if scratch is not None:
            environment["LIPFARM_SCRATCH_DIR"] = str(scratch)
        farm = Farm(
            folder / "data",
            workers={"cpu": 2, "gpu": 2, "stitch": 1},
            environment=environment,
        )
        with farm:
            url = FarmFolder(farm.data).environment()["LIPFARM_DATABASE_URL"]
            hurt = HurtFarm(Surroundings(farm, crash_dir, scratch, proxy), Database(url))
            yield hurt
            hurt.close()
        proxy.close()


class _scratch:  # noqa: N801 -- used as a function
    """A small disk of its own for the workers, or None where none can be mounted."""

    def __init__(self, path: Path) -> None:
        self._path, self._mounted = path, False

    def __enter__(self) -> Path | None:
        self._path.mkdir()
        size = f"size={_SCRATCH_BYTES}"
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mount(b"tmpfs", str(self._path).encode(), b"tmpfs", 0, size.encode())
        self._mounted = not failed
        return self._path if self._mounted else None

    def __exit__(self, *_: object) -> None:
        if self._mounted:
            lazily = 2  # MNT_DETACH
            ctypes.CDLL(None).umount2(str(self._path).encode(), lazily)


@pytest.fixture(scope="session")
def short_clip(clips: Path, ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a face that speaks; several segments, when cut small."""
    clip = tmp_path_factory.mktemp("clip") / "face.mp4"
    cut = ["-t", "3", "-i", str(clips / "portrait_25fps.mp4"), "-vf", "scale=288:384"]
    encode = ["-c:v", "libx264", "-g", "25", "-threads", "1", "-bitexact", str(clip)]
    run([ffmpeg, "-nostdin", "-loglevel", "error", *cut, *encode], timeout=LONG_SECONDS)
    return clip


@pytest.fixture(scope="session")
def short_dialogue(clips: Path, ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of speech."""
    sound = tmp_path_factory.mktemp("sound") / "dialogue.wav"
    cut = ["-t", "3", "-i", str(clips / "dialogue_short.flac"), "-bitexact", str(sound)]
    run([ffmpeg, "-nostdin", "-loglevel", "error", *cut], timeout=LONG_SECONDS)
    return sound
