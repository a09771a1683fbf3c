"""The JavaScript client existing users have, unmodified, works against the farm.

What it is asked to do stands in ``sdk_js/client.test.mjs``. It is installed from npm's registry as
``sdk_js/package-lock.json`` pins it, once, into pytest's cache.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "sdk_js"

#: What npm says of a registry that cannot be reached.
_NO_REGISTRY = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ECONNRESET", "network")


def run(argv: list[str], folder: Path, seconds: float, **environment: str) -> tuple[int, str]:
    """A program's exit status, and all it printed."""
    with subprocess.Popen(
        argv,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        finally:
            process.kill()
    return process.returncode, said


@pytest.fixture(scope="module")
def installed(request: pytest.FixtureRequest) -> Path:
    """A folder with the client in its ``node_modules``."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node 20 and npm on the PATH: https://nodejs.org")
    assert request.config.cache is not None
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = Path(request.config.cache.mkdir(f"sdk_js-{digest}"))
    for name in ("package.json", "package-lock.json", "client.test.mjs", "farm.test.mjs"):
        shutil.copy(HERE / name, folder / name)
    if not (folder / "complete").exists():
        status, said = run(["npm", "ci", "--no-audit", "--no-fund"], folder, 120)
        if status != 0 and any(word in said for word in _NO_REGISTRY):
            pytest.skip("needs npm's registry once, to install @sync.so/sdk 0.3.0; be online")
        assert status == 0, said
        (folder / "complete").touch()
    return folder


def test_the_javascript_client_works_unmodified(
    installed: Path, url: str, make_key: Callable[..., str], clips: Path
) -> None:
    status, said = run(
        ["node", "--test", "client.test.mjs"],
        installed,
        90,
        LIPFARM_URL=url,
        LIPFARM_API_KEY=make_key("javascript"),
        FILM=str(clips / "talk_mpeg4_25fps.mp4"),
        DIALOGUE=str(clips / "dialogue_short.flac"),
        NO_PROXY="127.0.0.1",
    )
    assert status == 0, said
