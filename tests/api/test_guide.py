"""What docs/api.md shows works as it stands there: with curl, and with both clients."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from api.catalogue import REFUSALS
from tests.api.test_sdk_js import installed
from tests.patience import LONG_SECONDS

__all__ = ["installed"]

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def run(argv: list[str], folder: Path, url: str, key: str) -> str:
    done = subprocess.run(  # noqa: TID251 -- a guide's commands, with a limit of their own
        argv,
        cwd=folder,
        env=os.environ | {"LIPFARM_URL": url, "LIPFARM_API_KEY": key, "NO_PROXY": "127.0.0.1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Nothing looks into them before a worker does.
    (tmp_path / "film.mp4").write_bytes(os.urandom(100_000))
    (tmp_path / "dialogue.wav").write_bytes(os.urandom(10_000))
    return tmp_path


def test_the_commands_work_from_top_to_bottom(
    folder: Path, url: str, make_key: Callable[..., str]
) -> None:
    for program in ("bash", "curl", "jq"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program} on the PATH")
    script = "\n".join(["set -euo pipefail", *blocks("sh")])
    said = run(["bash", "-c", script], folder, url, make_key("guide"))
    lines = said.split("\n")
    assert lines[0] == '"PENDING"'
    assert lines[1] == "1"  # one order, sent twice
    assert '"job.created"' in said or '"generation.created"' in said
    assert '"pause"\n"run"\n10\n' in said
    assert "null" not in [line.strip() for line in lines], said
    assert '"Pilot"' in said


def test_the_python_client_is_used_as_shown(
    folder: Path, url: str, make_key: Callable[..., str]
) -> None:
    (script,) = blocks("python")
    assert "PENDING" in run([sys.executable, "-c", script], folder, url, make_key("guide"))


def test_the_javascript_client_is_used_as_shown(
    installed: Path,
    url: str,
    make_key: Callable[..., str],
) -> None:
    (script,) = blocks("js")
    argv = ["node", "--input-type=module", "--eval", script]
    assert "PENDING" in run(argv, installed, url, make_key("guide"))


def test_every_address_and_error_it_names_exists(client: httpx.Client) -> None:
    text = GUIDE.read_text()
    document = client.get("/v2/openapi.json").json()
    known = {re.sub(r"\{[^}]*\}", "*", path) for path in document["paths"]}
    known |= {"/v2/openapi.json"}
    for path in re.findall(r"/v2/[\w/$.-]*\w", text):
        shape = "/".join("*" if word.isupper() or "$" in word else word for word in path.split("/"))
        assert shape in known, path
    for code in re.findall(r"`(\w+_(?:exceeded|reached))`", text):
        assert code in REFUSALS
