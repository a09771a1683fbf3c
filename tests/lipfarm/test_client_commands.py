"""`lipfarm submit`, `status`, `watch`, `fetch` and the rest, against a real API."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from infra.db.session import Database
from infra.errors import ObjectDamagedError, SettingsError
from infra.storage.objects import ObjectStore
from lipfarm import farm_client
from lipfarm.cli import cli
from lipfarm.farm_client import (
    FarmClient,
    FarmUnreachableError,
    JobNotCompletedError,
    RequestRefusedError,
    open_client,
)
from pipeline.errors import OutputError, ParameterError
from tests.api.conftest import (  # noqa: F401 -- fixtures
    database,
    make_key,
    seaweed,
    settings,
    store,
    url,
)

OUTPUT = b"dubbed" * 100_000
WAY = ("preparing", "detecting", "tracking", "rendering", "stitching", "completed")

Lipfarm = Callable[..., Result]


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "film.mp4").write_bytes(b"frames")
    (tmp_path / "fra.wav").write_bytes(b"samples")
    return ("--video", str(tmp_path / "film.mp4"), "--audio", str(tmp_path / "fra.wav"))


@pytest.fixture
def complete(database: Database, store: ObjectStore, tmp_path: Path) -> Callable[[str], None]:  # noqa: F811
    """Completes a job as the farm's workers would."""

    def do(job: str) -> None:
        path = tmp_path / "made"
        path.write_bytes(OUTPUT)
        stored = store.put_file(path, f"outputs/{job}")
        with database.transaction() as session:
            for state in WAY:
                session.execute(
                    text("UPDATE jobs SET state = :s WHERE id = :j"), {"s": state, "j": job}
                )
            session.execute(
                text(
                    "UPDATE jobs SET output_key = :k, output_sha256 = :d, output_size_bytes = :n "
                    "WHERE id = :j"
                ),
                {"k": stored.key, "d": stored.sha256, "n": stored.size, "j": job},
            )

    return do


def submitted(lipfarm: Lipfarm, *arguments: object) -> str:
    done = lipfarm("submit", *arguments)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_submit_sends_files_with_the_options_given(lipfarm, inputs):
    options = ("--network", "draft", "--box", "1,2,30,40", "--fps", "24000/1001", "--priority", 3)
    job = submitted(lipfarm, *inputs, *options, "--language", "fra", "--label", "a b")
    shown = json.loads(lipfarm("status", job, "--json").stdout)
    assert shown["model"] == "draft"
    assert shown["options"]["box"] == [1, 2, 30, 40]
    assert shown["options"]["fps"] == "24000/1001"
    assert (shown["priority"], shown["labels"], shown["language"]) == (3, ["a b"], "fra")
    assert shown["outputName"] == "film.fra.mp4"


def test_submit_takes_addresses_too(lipfarm):
    job = submitted(lipfarm, "--video", "https://m.example/f.mov", "--audio", "https://m.example/a")
    assert json.loads(lipfarm("status", job, "--json").stdout)["outputName"] == "f.mov"


def test_submit_takes_a_face_and_parts_that_stay_as_they_are(lipfarm, inputs):
    options = ("--face", "48:640,210", "--keep-original", "1-2.5", "--keep-original", "12.345-20")
    job = submitted(lipfarm, *inputs, *options)
    shown = json.loads(lipfarm("status", job, "--json").stdout)["options"]
    speaker = shown["active_speaker_detection"]
    assert (speaker["frame_number"], speaker["coordinates"]) == (48, [640, 210])
    assert shown["keep_original"] == [[1, 2.5], [12.345, 20]]
    two = lipfarm("submit", *inputs, "--face", "1:2,3", "--face", "4:5,6")
    assert (two.exit_code, "one --face" in two.output) == (2, True)


def test_submit_takes_a_timeline_with_sounds_beside_it(lipfarm, inputs, tmp_path, database):  # noqa: F811
    video, film, _, fra = inputs
    timeline = tmp_path / "timeline.json"
    heard = ((1, 2.345, Path(fra).name), (4, 5, "https://m.example/b.wav"))
    segments = [
        {"startTime": start, "endTime": end, "audioInput": {"refId": name}}
        for start, end, name in heard
    ]
    timeline.write_text(json.dumps(segments))
    job = submitted(lipfarm, video, film, "--timeline", timeline)
    shown = json.loads(lipfarm("status", job, "--json").stdout)
    assert [(s["startTime"], s["endTime"]) for s in shown["segments"]] == [(1, 2.345), (4, 5)]
    with database.transaction() as session:
        names = session.scalars(
            text(
                "SELECT a.name FROM jobs j JOIN assets a ON a.id = j.dialogue_id WHERE j.id = :job"
            ),
            {"job": job},
        )
        assert list(names) == ["fra.wav"]
    both = lipfarm("submit", *inputs, "--timeline", timeline)
    assert "either --audio or --timeline" in both.output
    missing = segments[:1]
    missing[0]["audioInput"] = {"refId": "none.wav"}
    timeline.write_text(json.dumps(missing))
    assert "no such file" in str(lipfarm("submit", video, film, "--timeline", timeline).exception)


def test_what_the_farm_refuses_is_said_in_its_words(lipfarm, inputs):
    done = lipfarm("submit", *inputs, "--label", "")
    assert isinstance(done.exception, RequestRefusedError)
    assert "labels" in str(done.exception)


@pytest.mark.parametrize(
    "option",
    [
        ("--preset", "hasty"),
        ("--language", "?"),
        ("--fps", "29.9700299700299"),
        ("--box", "9,9,9,9"),
        ("--keep-original", "2-1"),
        ("--segment-seconds", "1e9"),
        ("--mel-offset-ms", "nan"),
        ("--priority", "1001"),
        ("--output-name", "film.avi"),
    ],
)
def test_what_the_farm_would_refuse_is_said_before_anything_is_sent(inputs, option, monkeypatch):
    monkeypatch.setattr(FarmClient, "send", lambda *_: pytest.fail("it was sent"))
    environment = {"LIPFARM_URL": "http://farm.example", "LIPFARM_API_KEY": "k"}
    done = CliRunner().invoke(cli, ["submit", *map(str, inputs), *option], env=environment)
    is_refused = done.exit_code == 2 or isinstance(done.exception, ParameterError)
    assert is_refused, done.output


@pytest.mark.parametrize("place", [("missing", "x.mp4"), (), ("n" * 256,)])
def test_where_nothing_can_be_written_nothing_is_asked_for(place, tmp_path):
    output = tmp_path.joinpath(*place)
    environment = {"LIPFARM_URL": "http://nobody.invalid", "LIPFARM_API_KEY": "k"}
    for command in (["fetch", "id"], ["batch", "result", "id"]):
        words = [*command, "--output", str(output)]
        done = CliRunner().invoke(cli, words, env=environment)
        assert isinstance(done.exception, OutputError), done.exception


def test_a_missing_file_is_said_before_anything_is_sent(lipfarm, tmp_path):
    done = lipfarm("submit", "--video", tmp_path / "none.mp4", "--audio", tmp_path / "none.wav")
    assert "no such file" in str(done.exception)


def test_status_pause_resume_cancel_say_how_it_stands(lipfarm, inputs):
    job = submitted(lipfarm, *inputs)
    assert "queued, 0 %" in lipfarm("status", job).stdout
    assert "paused" in lipfarm("pause", job).stdout
    assert "queued" in lipfarm("resume", job).stdout
    assert "canceled" in lipfarm("cancel", job).stdout
    assert isinstance(lipfarm("retry", job).exception, RequestRefusedError)
    watched = lipfarm("watch", job)
    assert isinstance(watched.exception, JobNotCompletedError)
    assert isinstance(lipfarm("fetch", job, "--output", "x").exception, JobNotCompletedError)


def test_what_was_left_out_is_said_on_stderr_in_the_end(lipfarm, inputs, complete, database):  # noqa: F811
    job = submitted(lipfarm, *inputs)
    report = {
        "left_out": [{"note": "sound stream 2 (aac) is left out: …"}, {"note": None}],
        "picture": {"interlaced": {"note": "3 frames are woven of two fields …"}},
    }
    with database.transaction() as session:
        session.execute(
            text("UPDATE jobs SET report = :r WHERE id = :j"), {"r": json.dumps(report), "j": job}
        )
    complete(job)
    notes = ["sound stream 2 (aac) is left out: …", "3 frames are woven of two fields …"]
    assert lipfarm("status", job).stderr.splitlines() == notes
    assert lipfarm("watch", job).stderr.splitlines()[-2:] == notes
    shown = json.loads(lipfarm("watch", job, "--json").stdout.splitlines()[-1])["report"]
    assert [*shown["leftOut"], *shown["notes"]] == notes


def test_fetch_continues_what_broke_off(lipfarm, inputs, complete, tmp_path):
    job, output = submitted(lipfarm, *inputs), tmp_path / "dub.mp4"
    complete(job)
    assert "lipfarm fetch" in lipfarm("watch", job).stdout
    digest = hashlib.sha256(OUTPUT).hexdigest()
    part = tmp_path / f".dub.mp4.{digest[:12]}.part"
    part.write_bytes(OUTPUT[:1000])
    done = lipfarm("fetch", job, "--output", output, "--json")
    assert json.loads(done.stdout)["sha256"] == digest
    assert output.read_bytes() == OUTPUT
    assert not part.exists()


def test_fetch_publishes_nothing_that_differs(lipfarm, inputs, complete, tmp_path):
    job, output = submitted(lipfarm, *inputs), tmp_path / "dub.mp4"
    complete(job)
    digest = hashlib.sha256(OUTPUT).hexdigest()
    (tmp_path / f".dub.mp4.{digest[:12]}.part").write_bytes(b"another file's beginning")
    done = lipfarm("fetch", job, "--output", output)
    assert isinstance(done.exception, ObjectDamagedError)
    assert not output.exists()
    assert lipfarm("fetch", job, "--output", output).exit_code == 0


def test_the_key_of_a_farm_here_goes_to_no_other_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="which farm"):
        open_client(None, None, None)
    folder = tmp_path / farm_client.DEFAULT_DATA
    folder.mkdir()
    ready = {"url": "http://127.0.0.1:1", "api_key": "secret"}
    (folder / "ready.json").write_text(json.dumps(ready))
    assert open_client(None, None, None).url == "http://127.0.0.1:1"
    with pytest.raises(SettingsError, match="no key"):
        open_client("https://elsewhere.example", None, None)


def test_a_farm_that_is_away_is_said_to_be():
    with pytest.raises(FarmUnreachableError):
        FarmClient("http://127.0.0.1:1", "key", patience=0).get("/v2/models")
