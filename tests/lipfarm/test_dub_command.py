"""`lipfarm dub` as a person runs it: a process, real files, one line for whatever is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from lipfarm.cli import main
from tests.patience import LONG_SECONDS

LIMIT = 240


def run_dub(*arguments: str | Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lipfarm", "dub", *map(str, arguments)]
    settings |= {"capture_output": True, "text": True, "timeout": LIMIT}
    return subprocess.run(argv, check=False, **settings)  # noqa: TID251


def write_speechless(path: Path, seconds: float = 0.5, *, value: float = 0.0) -> Path:
    soundfile.write(path, np.full(int(16000 * seconds), value, np.float32), 16000, subtype="FLOAT")
    return path


def write_film(path: Path, frames: int = 5, size: tuple[int, int] = (64, 64)) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        grey = np.full((size[1], size[0], 3), 90, np.uint8)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(grey + np.uint8(i), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4")


@pytest.fixture
def dialogue(tmp_path: Path) -> Path:
    return write_speechless(tmp_path / "dialogue.wav")


def assert_one_clear_error(
    result: subprocess.CompletedProcess[str], status: int, *words: str, output: Path
) -> None:
    assert result.returncode == status, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("lipfarm: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stderr.splitlines()[-1].startswith("lipfarm: a bug")
    for word in words:
        assert word in lines[0], lines[0]
    left = [p.name for p in output.parent.iterdir() if output.name in p.name]
    assert left == [], "a partial output was left"


def make_text(path: Path) -> Path:
    path.write_text("not a film at all\n" * 100)
    return path


def make_truncated(path: Path) -> Path:
    whole = write_film(path.with_name("whole.mp4"), 50)
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def make_empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def make_missing(path: Path) -> Path:
    return path


def make_pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def make_playlist(path: Path) -> Path:
    path.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    return path


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (make_missing, "no such file"),
        (make_empty, "empty"),
        (make_text, "media"),
        (make_truncated, "cut short"),
        (make_pipe, "pipe"),
        (make_playlist, ""),
    ],
)
def test_unusable_film_is_one_clear_error(
    make: Any, word: str, dialogue: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "dubbed.mp4"
    output.parent.mkdir()
    bad = make(tmp_path / "bad.mp4")
    result = run_dub("--video", bad, "--audio", dialogue, "--output", output)
    assert_one_clear_error(result, 3, "bad.mp4", word, output=output)


def test_empty_folder_of_frames_is_one_clear_error(dialogue: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    output = tmp_path / "dubbed.mp4"
    result = run_dub("--video", tmp_path / "frames", "--audio", dialogue, "--output", output)
    assert_one_clear_error(result, 3, "frames", output=output)


@pytest.mark.parametrize(("make", "word"), [(make_missing, "no such file"), (make_text, "")])
def test_unusable_dialogue_is_one_clear_error(
    make: Any, word: str, film: Path, tmp_path: Path
) -> None:
    output = tmp_path / "dubbed.mp4"
    bad = make(tmp_path / "bad.wav")
    result = run_dub("--video", film, "--audio", bad, "--output", output)
    assert_one_clear_error(result, 3, "bad.wav", word, output=output)


def test_dialogue_without_sound_is_one_clear_error(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "dubbed.mp4"
    silent = write_film(tmp_path / "mute.mp4")
    result = run_dub("--video", film, "--audio", silent, "--output", output)
    assert_one_clear_error(result, 3, "mute.mp4", "sound", output=output)


def test_zero_length_dialogue_is_one_clear_error(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "dubbed.mp4"
    empty = write_speechless(tmp_path / "empty.wav", 0.0)
    result = run_dub("--video", film, "--audio", empty, "--output", output)
    assert_one_clear_error(result, 3, "empty.wav", output=output)


def test_samples_that_are_no_numbers_do_not_stop_a_dub(film: Path, tmp_path: Path) -> None:
    nan = write_speechless(tmp_path / "nan.wav", value=float("nan"))
    output = tmp_path / "dubbed.mp4"
    result = run_dub("--video", film, "--audio", nan, "--output", output)
    assert result.returncode == 0, result.stderr
    assert output.exists()


@pytest.mark.parametrize(("frames", "size"), [(1, (64, 64)), (3, (16, 16)), (3, (50, 38))])
def test_smallest_films_are_dubbed(
    frames: int, size: tuple[int, int], dialogue: Path, tmp_path: Path
) -> None:
    film = write_film(tmp_path / "small.mp4", frames, size)
    output = tmp_path / "dubbed.mp4"
    result = run_dub(
        "--video", film, "--audio", dialogue, "--output", output, "--sync-mode", "cut_off"
    )
    assert result.returncode == 0, result.stderr
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(video=0)) == frames


def test_8k_film_is_dubbed(dialogue: Path, tmp_path: Path) -> None:
    film = write_film(tmp_path / "large.mp4", 2, (8192, 4320))
    output = tmp_path / "dubbed.mp4"
    result = run_dub(
        "--video", film, "--audio", dialogue, "--output", output, "--sync-mode", "cut_off"
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        'quote\'s "double"',
        "line\nbreak",
        "-leading",
        "映画 фильм",
        "a:b",
        "%d",
        "$HOME;x",
    ],
)
def test_any_file_name_works(name: str, film: Path, dialogue: Path, tmp_path: Path) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    odd_film = film.rename(folder / f"{name}.mp4")
    odd_dialogue = dialogue.rename(folder / f"{name}.wav")
    odd_output = folder / f"{name} dubbed.mkv"
    result = run_dub(
        f"--video={odd_film.name}",
        f"--audio={odd_dialogue.name}",
        f"--output={odd_output.name}",
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    assert result.returncode == 0, result.stderr
    assert {p.name for p in folder.iterdir()} == {odd_film.name, odd_dialogue.name, odd_output.name}


def test_output_in_a_missing_folder_is_one_clear_error(
    film: Path, dialogue: Path, tmp_path: Path
) -> None:
    output = tmp_path / "missing" / "dubbed.mp4"
    result = run_dub("--video", film, "--audio", dialogue, "--output", output)
    assert_one_clear_error(result, 5, "create it first", output=tmp_path / "x")
    assert not output.parent.exists()


def test_output_of_another_kind_is_one_clear_error(
    film: Path, dialogue: Path, tmp_path: Path
) -> None:
    output = tmp_path / "dubbed.txt"
    result = run_dub("--video", film, "--audio", dialogue, "--output", output)
    assert_one_clear_error(result, 5, ".mkv", output=output)


@pytest.mark.parametrize(
    ("report", "work_dir", "words"),
    [
        ("missing/report.json", None, ["missing", "for the report", "create it first"]),
        ("folder", None, ["folder", "is a directory"]),
        ("dubbed.mkv", None, ["output and report"]),
        ("linked/dubbed.mkv", None, ["output and report"]),
        ("film.mp4", None, ["is the input itself"]),
        ("dialogue.wav", None, ["is the input itself"]),
        ("/dev/full", None, ["device"]),
        ("film.mp4/report.json", None, ["no such folder for the report"]),
        ("n" * 256, None, ["too long"]),
        ("work", "work", ["as work is to be written there", "(--work-dir)"]),
        (None, "dubbed.mkv", ["as dubbed.mkv is to be written there", "(--work-dir)"]),
        (None, "dubbed.mkv/work", ["as dubbed.mkv is to be written there", "(--work-dir)"]),
        (None, "film.mp4", ["cannot work in", "choose another folder (--work-dir)"]),
        (None, "film.mp4/work", ["cannot work in", "choose another folder (--work-dir)"]),
    ],
)
def test_what_cannot_be_written_at_the_end_is_told_at_the_start(
    report: str | None,
    work_dir: str | None,
    words: list[str],
    film: Path,
    dialogue: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("linked").symlink_to(".")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()}
    arguments = [f"--video={film.name}", f"--audio={dialogue.name}", "--output=dubbed.mkv"]
    arguments += [f"--report={report}"] if report else []
    arguments += [f"--work-dir={work_dir}"] if work_dir else []
    said = fail_at_once(arguments, 5, capsys, monkeypatch)
    for word in words:
        assert word in said
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_report_does_not_replace_the_timeline_or_a_frame(
    film: Path,
    dialogue: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    timeline = tmp_path / "timeline.json"
    clip = {"startTime": 0, "endTime": 0.1, "audioInput": {"refId": dialogue.name}}
    timeline.write_text(json.dumps([clip]))
    output = f"--output={tmp_path / 'dubbed.mkv'}"
    arguments = [f"--video={film}", f"--timeline={timeline}", output, f"--report={timeline}"]
    assert "is the input itself" in fail_at_once(arguments, 5, capsys, monkeypatch)
    (tmp_path / "frames").mkdir()
    frame = tmp_path / "frames" / "1.png"
    frame.write_bytes(b"a frame")
    arguments = [f"--video={frame.parent}", f"--audio={dialogue}", output, f"--report={frame}"]
    assert "is among the frames" in fail_at_once(arguments, 5, capsys, monkeypatch)
    assert frame.read_bytes() == b"a frame"


def fail_at_once(
    arguments: list[str],
    status: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """What `lipfarm dub` says, that looks at no input before it says it."""
    from pipeline import dub  # noqa: PLC0415 -- heavy, as in the command

    monkeypatch.setattr(dub, "prepare", lambda *_: pytest.fail("it began to work"))
    with pytest.raises(SystemExit) as end:
        main(["dub", "--network=draft", *arguments])
    said = [line for line in capsys.readouterr().err.splitlines() if line]
    assert (end.value.code, len(said)) == (status, 1), said
    return said[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--segment-seconds=0"], "segment seconds must be between 0.01 and 86400"),
        (["--segment-seconds=1e-9"], "(--segment-seconds)"),
        (["--segment-seconds=inf"], "(--segment-seconds)"),
        (["--segment-seconds=nan"], "(--segment-seconds)"),
        (["--workers=0"], "workers must be between 1 and 256 (--workers)"),
        (["--workers=100000"], "(--workers)"),
        (["--mel-offset-ms=nan"], "(--mel-offset-ms)"),
        (["--mel-offset-ms=1e300"], "(--mel-offset-ms)"),
        (["--crf=nan"], "crf"),
        (["--preset=warp"], "ultrafast"),
        (["--fps=0"], "(--fps)"),
        (["--fps=1001"], "(--fps)"),
        (["--fps=29.9700299700299"], "such as 30000/1001 (--fps)"),
        (["--fps=1e999999999"], "--fps"),
        (["--box=9,9,9,20"], "is empty"),
        (["--box=-5,0,100,100"], "(--box)"),
        (["--box=0,0,99999999999,100"], "(--box)"),
        (["--box=0,0,9,9", "--face=0:1,1"], "not both (--box)"),
        (["--face=-1:5,5"], "(--face)"),
        (["--face=99999999999:5,5"], "(--face)"),
        (["--pads=0,99999999999,0,0"], "(--pads)"),
        (["--language="], "(--language)"),
        (["--language=fra\nx=y"], "(--language)"),
        (["--language=日本語"], "such as fra or pt-BR (--language)"),
        (["--keep-original=5-2"], "(--keep-original)"),
        (["--keep-original=1-1e30"], "(--keep-original)"),
        (["--keep-original=1-1e999999999"], "--keep-original"),
        (["--keep-original=3-4", "--keep-original=1-2"], "in order (--keep-original)"),
        (["--device=gpu"], "--device"),
        (["--device=cuda:one"], "--device"),
        (["--device=mps"], "--device"),
    ],
)
def test_an_option_that_cannot_be_meant_is_told_before_anything_is_looked_at(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = [f"--video={tmp_path}/none", f"--audio={tmp_path}/none", f"--output={tmp_path}/o.mkv"]
    assert words in fail_at_once([*places, *arguments], 2, capsys, monkeypatch)


def test_a_mistyped_option_is_told_without_loading_the_media_stack() -> None:
    script = (
        "import sys\nfrom lipfarm.cli import main\n"
        "try: main(['dub','--video=v','--audio=a','--output=o.mkv','--language=?'])\n"
        "except SystemExit as end: print(end.code)\n"
        "print(*sorted({'torch', 'cv2', 'librosa', 'scipy', 'av'} & set(sys.modules)))"
    )
    argv = [sys.executable, "-c", script]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LONG_SECONDS)  # noqa: TID251
    assert ended.stdout.split() == ["2"], ended.stderr


def test_json_names_the_option_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["dub", "--video=v", "--audio=a", "--output=o.mkv", "--workers=0", "--json"]
    monkeypatch.setattr(sys, "argv", ["lipfarm", *arguments])
    with pytest.raises(SystemExit):
        main()
    event = json.loads(capsys.readouterr().out)
    assert event["option"] == "--workers"
    assert event["message"].endswith("(--workers)")


def test_input_as_output_is_one_clear_error(film: Path, dialogue: Path) -> None:
    before = film.read_bytes()
    result = run_dub("--video", film, "--audio", dialogue, "--output", film)
    assert result.returncode == 5
    assert film.read_bytes() == before


def test_missing_checkpoint_says_how_to_get_one(film: Path, dialogue: Path, tmp_path: Path) -> None:
    output = tmp_path / "dubbed.mp4"
    result = run_dub(
        "--video", film, "--audio", dialogue, "--output", output, "--network", "wav2lip",
        env=os.environ
        | {"LIPFARM_CHECKPOINTS_DIR": str(tmp_path / "none"), "LIPFARM_COMMERCIAL_USE": "1"},
    )  # fmt: skip
    assert_one_clear_error(result, 4, "lipfarm models pull", output=output)


def test_wrong_checkpoint_is_one_clear_error(film: Path, dialogue: Path, tmp_path: Path) -> None:
    output = tmp_path / "dubbed.mp4"
    wrong = make_text(tmp_path / "wrong.pth")
    result = run_dub(
        "--video", film, "--audio", dialogue, "--output", output, "--checkpoint", wrong
    )
    assert_one_clear_error(result, 4, "wrong.pth", output=output)


def test_code_in_a_checkpoint_never_runs(film: Path, dialogue: Path, tmp_path: Path) -> None:
    import pickle  # noqa: PLC0415, TID251 -- to make the attack, not to read one
    import zipfile  # noqa: PLC0415

    trace = tmp_path / "trace"

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (trace,))

    evil = tmp_path / "evil.pth"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"state_dict": Attack()}))
        archive.writestr("archive/version", "3\n")
    output = tmp_path / "dubbed.mp4"
    result = run_dub("--video", film, "--audio", dialogue, "--output", output, "--checkpoint", evil)
    assert_one_clear_error(result, 4, "evil.pth", output=output)
    assert not trace.exists()


def test_json_is_events_and_nothing_else(film: Path, dialogue: Path, tmp_path: Path) -> None:
    output, report = tmp_path / "dubbed.mp4", tmp_path / "report.json"
    result = run_dub(
        "--video", film, "--audio", dialogue, "--output", output, "--report", report, "--json"
    )
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[-1]["event"] == "completed"
    assert events[-1]["report"] == json.loads(report.read_text())
    stages = [e["stage"] for e in events if e["event"] == "stage.completed"]
    assert stages == ["prepare", "detect", "track", "render", "stitch"]


def test_error_is_an_event_with_json(dialogue: Path, tmp_path: Path) -> None:
    result = run_dub(
        "--video", tmp_path / "x.mp4", "--audio", dialogue, "--output", tmp_path / "o.mp4", "--json"
    )
    event = json.loads(result.stdout.splitlines()[-1])
    assert event["event"] == "failed"
    assert event["code"] == "media_unreadable"


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_interrupted_run_leaves_nothing_but_what_it_can_continue(
    sent: signal.Signals, status: int, clips: Path, tmp_path: Path
) -> None:
    output = tmp_path / "dubbed.mkv"
    argv = [sys.executable, "-m", "lipfarm", "dub", "--video", str(clips / "film.mkv"),
            "--audio", str(clips / "dialogue_en.flac"), "--output", str(output),
            "--segment-seconds", "5"]  # fmt: skip
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + LIMIT
        while not list(tmp_path.glob(".*/render-*")) and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=LONG_SECONDS)
    assert process.returncode == status, stderr
    assert "Traceback" not in stderr
    assert not output.exists()
    assert list(tmp_path.glob(".*/render-*")), "finished segments stay, to continue from"


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_signal_that_comes_while_a_destructor_runs_is_not_lost(
    sent: signal.Signals, status: int
) -> None:
    script = f"""
import os, time
from lipfarm import cli

class Dying:
    def __del__(self):
        os.kill(os.getpid(), {int(sent)})
        time.sleep(1)  # the handler runs in here, and raises

@cli.cli.command("die")
def die():
    Dying()
    time.sleep(30)

cli.Commands.get_command = lambda self, context, name: die
cli.main(["die"])
"""
    ended = subprocess.run(  # noqa: TID251
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_film_that_does_not_fit_is_told_before_it_is_read(
    film: Path,
    dialogue: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pipeline import dub  # noqa: PLC0415
    from pipeline.running import room  # noqa: PLC0415

    monkeypatch.setattr(room, "free_bytes", lambda _: 2_900_000_000)
    monkeypatch.setattr(dub, "least_cut_bytes", lambda _: 12_000_000_000)
    work = tmp_path / "work"
    arguments = [f"--video={film}", f"--audio={dialogue}", f"--output={tmp_path / 'dubbed.mkv'}"]
    for more, place in (([], ".dubbed.mkv.lipfarm"), ([f"--work-dir={work}"], "work")):
        said = fail_at_once([*arguments, *more], 6, capsys, monkeypatch)
        assert f"at least 12.0 GB are needed in {tmp_path / place}, 2.9 GB are free" in said
        assert said.endswith("(--work-dir)")
    assert not (tmp_path / ".dubbed.mkv.lipfarm").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--box=0,0,640,480"], 2, "must lie in the 64x64 frame"),
        (["--face=5:1,1"], 2, "frames are 0 to 4 (--face)"),
        (["--keep-original=0.2-1"], 2, "starts after the film, which lasts 0.200 s"),
        (["--audio=mute.mp4"], 3, "mute.mp4: holds no sound"),
        (["--audio=bad.wav"], 3, "bad.wav"),
        (["--network=wav2lip", "--checkpoint=bad.wav"], 4, "bad.wav"),
        (["--network=wav2lip", "--device=cuda:99"], 2, "no such device: cuda:99"),
        (["--network=wav2lip", "--precision=fp16", "--device=cpu"], 2, "(--precision)"),
    ],
)
def test_what_does_not_go_with_the_film_is_told_before_it_is_cut(
    arguments: list[str],
    status: int,
    words: str,
    film: Path,
    dialogue: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pipeline import prepare  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    write_film(tmp_path / "mute.mp4")
    make_text(tmp_path / "bad.wav")
    for name in ("cut_segments", "decode_waveform"):
        monkeypatch.setattr(prepare, name, lambda *_: pytest.fail("it began to work"))
    places = [f"--video={film}", f"--audio={dialogue}", f"--output={tmp_path / 'dubbed.mkv'}"]
    with pytest.raises(SystemExit) as end:
        main(["dub", "--network=draft", *places, *arguments])
    said = capsys.readouterr().err
    assert (end.value.code, words in said) == (status, True), said
    assert not list(tmp_path.glob(".*"))


def test_full_disk_is_one_clear_error(film: Path, dialogue: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(  # noqa: TID251
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)],  # noqa: S607
        capture_output=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        output = disk / "dubbed.mp4"
        result = run_dub("--video", film, "--audio", dialogue, "--output", output)
        assert result.returncode == 6, result.stderr
        assert result.stderr.count("\n") <= 3
        assert not output.exists()
    finally:
        subprocess.run(["umount", str(disk)], timeout=LONG_SECONDS, check=True)  # noqa: S607, TID251
