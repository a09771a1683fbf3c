import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from pipeline.errors import ToolUnfitError
from pipeline.media import ffmpeg_program
from pipeline.media.ffmpeg_program import FFMPEG_VARIABLE, NEEDED, ffmpeg_path, pinned_ffmpeg
from pipeline.output import containers
from pipeline.running.commands import run
from tests.patience import LONG_SECONDS


@pytest.fixture(autouse=True)
def _unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FFMPEG_VARIABLE, raising=False)


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where LIPFARM_FFMPEG points; nothing is there yet."""
    path = tmp_path / "named" / "ffmpeg"
    path.parent.mkdir()
    monkeypatch.setenv(FFMPEG_VARIABLE, str(path))
    return path


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def counting(path: Path, body: str = "") -> Path:
    """The pinned ffmpeg behind a script that counts its calls, after ``body``."""
    pinned = shlex.quote(str(pinned_ffmpeg()))
    return script(path, f'echo call >> "$0.calls"\n{body}\nexec {pinned} "$@"')


def calls(path: Path) -> int:
    trace = path.with_name("ffmpeg.calls")
    return len(trace.read_text().splitlines()) if trace.exists() else 0


def version_of(number: str, libavformat: str) -> str:
    return (
        f'test "$1" = -version && echo "ffmpeg version {number} Copyright (c)" &&'
        f' echo "libavformat    {libavformat}.  1.100 / {libavformat}.  1.100" && exit 0'
    )


def without(kind: str, name: str) -> str:
    """A listing of the pinned ffmpeg in which one name is another."""
    question, _ = ffmpeg_program._LISTINGS[kind]
    pinned = shlex.quote(str(pinned_ffmpeg()))
    pattern = f"s/\\b{name}\\b/other/g"
    return (
        f'test "$*" = "-hide_banner {" ".join(question)}" &&'
        f" {{ {pinned} -hide_banner {' '.join(question)} | sed '{pattern}'; exit 0; }}"
    )


# --- which one ---


def test_the_pinned_ffmpeg_is_run_whatever_the_path_and_other_variables_say() -> None:
    on_the_path = shutil.which("ffmpeg")
    assert on_the_path is not None, "the tests have one that nobody may call"
    assert os.environ["IMAGEIO_FFMPEG_EXE"] == on_the_path
    assert ffmpeg_path() == str(pinned_ffmpeg())
    assert "imageio_ffmpeg" in ffmpeg_path()


def test_the_pinned_ffmpeg_has_all_that_is_needed() -> None:
    version = ffmpeg_program._version(str(pinned_ffmpeg()))
    assert version.libavformat >= ffmpeg_program._MINIMUM_LIBAVFORMAT
    assert list(ffmpeg_program._lacking(str(pinned_ffmpeg()))) == []


def test_the_pinned_ffmpeg_is_not_even_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ffmpeg_program, "run", refuse)
    ffmpeg_program.check_ffmpeg()


def test_an_empty_variable_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FFMPEG_VARIABLE, "")
    assert ffmpeg_path() == str(pinned_ffmpeg())


def test_a_wheel_without_a_binary_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg_program.resources, "files", lambda _: tmp_path)
    pinned_ffmpeg.cache_clear()
    try:
        with pytest.raises(ToolUnfitError, match=f"has no ffmpeg for .*{FFMPEG_VARIABLE}"):
            ffmpeg_path()
        (tmp_path / "ffmpeg-linux").touch()
        with pytest.raises(ToolUnfitError, match="is not executable"):
            ffmpeg_path()
    finally:
        pinned_ffmpeg.cache_clear()


def command_lines() -> Iterator[tuple[str, ast.Module]]:
    """The modules that compose ffmpeg's command lines."""
    for path in sorted(Path(ffmpeg_program.__file__).parents[1].rglob("*.py")):
        source = path.read_text()
        if "import ffmpeg_path" in source or '"-metadata' in source:
            yield path.name, ast.parse(source)


def test_every_option_a_command_line_has_is_checked() -> None:
    seen = set()
    for name, module in command_lines():
        constants = [node.value for node in ast.walk(module) if isinstance(node, ast.Constant)]
        texts = [value for value in constants if isinstance(value, str)]
        seen |= {(name, found[1]) for text in texts if (found := re.match(r"-([a-z_]+)", text))}
        for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) in {"ffmpeg.input", "ffmpeg.output"}:
                # "format" is what ffmpeg-python calls -f.
                words = (str(word.arg) for word in call.keywords)
                seen |= {(name, "f" if word == "format" else word) for word in words}
    # Not in any listing of ffmpeg's: what "-h" itself needs no word for.
    options = {(name, option.removeprefix("no")) for name, option in seen if option != "i"}
    assert len({name for name, _ in options}) >= 3
    assert {option for _, option in options} <= NEEDED["option"], options


def test_every_encoder_and_muxer_a_command_line_may_name_is_checked() -> None:
    assert set(containers._TEXT_CODEC.values()) <= NEEDED["encoder"]
    assert set(containers._PCM_CODEC.values()) <= NEEDED["encoder"]
    assert set(get_args(containers.Container)) <= NEEDED["muxer"]
    named = set()
    for _, module in command_lines():
        for node in ast.walk(module):
            if isinstance(node, ast.List | ast.Tuple):
                texts = [each.value if isinstance(each, ast.Constant) else "" for each in node.elts]
                named |= {after for before, after in pairwise(texts) if before == "-f" and after}
    assert named
    assert named <= NEEDED["muxer"] | NEEDED["demuxer"]


# --- one that is named ---


def test_a_fit_one_that_is_named_is_run_and_asked_once(named: Path) -> None:
    counting(named)
    assert ffmpeg_path() == str(named)
    asked = calls(named)
    assert asked == 1 + len(NEEDED)
    assert ffmpeg_path() == str(named)
    assert calls(named) == asked


def test_another_file_under_the_same_name_is_asked_anew(named: Path) -> None:
    counting(named)
    assert ffmpeg_path() == str(named)
    counting(named, version_of("5.1.9-0+deb12u1", "59"))
    with pytest.raises(ToolUnfitError, match=r"is ffmpeg 5\.1\.9"):
        ffmpeg_path()


def test_processes_that_are_started_run_the_one_that_is_named(named: Path) -> None:
    counting(named)
    script = "from pipeline.media.ffmpeg_program import ffmpeg_path; print(ffmpeg_path())"
    assert run([sys.executable, "-c", script], timeout=LONG_SECONDS).decode().strip() == str(named)


@pytest.mark.parametrize(
    ("number", "libavformat"),
    [("5.1.9-0+deb12u1", "59"), ("n8.0-23-gd1f31a829d", "62"), ("N-110000-g0123456", "60")],
)
def test_an_old_one_is_refused_in_one_line_with_a_way_out(
    named: Path, number: str, libavformat: str
) -> None:
    counting(named, version_of(number, libavformat))
    with pytest.raises(ToolUnfitError) as refused:
        ffmpeg_path()
    message = str(refused.value)
    assert message.startswith(f"{named}: is ffmpeg {number}, older than version 9.0; ")
    assert f"unset {FFMPEG_VARIABLE}" in message
    assert "\n" not in message


def test_a_build_from_git_is_judged_by_its_libraries(named: Path) -> None:
    counting(named, version_of("N-123456-g0123456", "63"))
    assert ffmpeg_path() == str(named)


@pytest.mark.parametrize("kind", NEEDED)
def test_whatever_one_lacks_is_named(named: Path, kind: str) -> None:
    for name in sorted(NEEDED[kind])[:3]:
        counting(named, without(kind, name))
        ffmpeg_program._complaint.cache_clear()
        with pytest.raises(ToolUnfitError, match=f"lacks the {kind} {name};"):
            ffmpeg_path()


def test_all_that_one_lacks_is_named_at_once(named: Path) -> None:
    counting(named, without("muxer", "matroska") + "\n" + without("encoder", "subrip"))
    with pytest.raises(ToolUnfitError, match="lacks the encoder subrip, the muxer matroska;"):
        ffmpeg_path()


def test_the_distributions_is_refused_by_its_version(
    named: Path, pytestconfig: pytest.Config
) -> None:
    real = pytestconfig.getoption("--machines-ffmpeg")
    if real is None:
        pytest.skip("needs a distribution's ffmpeg: --machines-ffmpeg /usr/bin/ffmpeg")
    script(named, f'exec {shlex.quote(real)} "$@"')
    libavformat = ffmpeg_program._version(real).libavformat
    if libavformat >= ffmpeg_program._MINIMUM_LIBAVFORMAT:
        pytest.skip("it is not old")
    with pytest.raises(ToolUnfitError, match=r"is ffmpeg \S+, older than version 9.0"):
        ffmpeg_path()


@pytest.mark.parametrize(
    ("body", "complaint"),
    [("echo hello", "it says 'hello"), ("exit 3", "exit status 3"), ("kill -9 $$", "status -9")],
)
def test_a_program_that_is_no_ffmpeg_is_refused(named: Path, body: str, complaint: str) -> None:
    script(named, body)
    with pytest.raises(ToolUnfitError, match=f"does not answer as ffmpeg does .*{complaint}"):
        ffmpeg_path()


def test_what_is_no_program_is_refused(named: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolUnfitError, match=f"{named}: no such file; unset"):
        ffmpeg_path()
    named.write_text("#!/bin/sh\n")
    with pytest.raises(ToolUnfitError, match="is not executable"):
        ffmpeg_path()
    named.chmod(0o755)
    named.write_bytes(b"\x7fELF of another machine")
    with pytest.raises(ToolUnfitError, match="does not answer as ffmpeg does"):
        ffmpeg_path()
    monkeypatch.setenv(FFMPEG_VARIABLE, "ffmpeg")
    with pytest.raises(ToolUnfitError, match="give an absolute path"):
        ffmpeg_path()


# --- at the start of commands ---


def commands(tmp_path: Path) -> Iterator[list[str]]:
    inside = [str(tmp_path / name) for name in ("a", "b", "c")]
    yield ["dub", "--video", inside[0], "--audio", inside[1], "--output", inside[2] + ".mkv"]
    yield ["waveform", inside[0], inside[1]]
    yield ["train", "prepare", inside[0], inside[1]]
    yield ["up", "--data", inside[0]]


def test_commands_refuse_an_unfit_ffmpeg_before_any_work(named: Path, tmp_path: Path) -> None:
    counting(named, version_of("5.1.9-0+deb12u1", "59"))
    before = sorted(tmp_path.iterdir())
    for arguments in [["-m", "lipfarm", *command] for command in commands(tmp_path)] + [
        ["-m", "lipfarm.demo"]
    ]:
        ended = subprocess.run(  # noqa: TID251 -- what it says when it fails is the point
            [sys.executable, *arguments],
            cwd=named.parent,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == ToolUnfitError.exit_status, arguments
        assert ended.stderr.startswith(f"lipfarm: {named}: is ffmpeg 5.1.9"), arguments
        assert len(ended.stderr.splitlines()) == 1, arguments
        assert not (named.parent / "out").exists()
    assert sorted(tmp_path.iterdir()) == before
