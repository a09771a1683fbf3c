"""What a generation will take, asked before it is ordered."""

import uuid
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.estimates import output_length
from infra.db.session import Database
from infra.media_length import MediaLength

FILM = MediaLength(seconds=10.0, frames=250, frame_rate=25.0, has_audio=True)
STILL = MediaLength(seconds=None, frames=1, frame_rate=None, has_audio=False)


def spoken(seconds: float) -> MediaLength:
    return MediaLength(seconds=seconds, frames=None, frame_rate=None, has_audio=True)


@pytest.mark.parametrize(
    ("sync_mode", "dialogue", "frames"),
    [
        ("silence", 8.0, 250),
        ("silence", 12.0, 300),
        ("cut_off", 8.0, 200),
        ("cut_off", 12.0, 250),
        ("loop", 12.0, 300),
        ("bounce", 8.0, 200),
        ("remap", 20.0, 500),
    ],
)
def test_the_sync_mode_decides_how_long_an_output_is(sync_mode, dialogue, frames):
    length = output_length(FILM, spoken(dialogue), sync_mode, Fraction(25))
    assert (length.frames, length.frame_rate) == (frames, 25.0)


def test_a_picture_lasts_as_long_as_the_dialogue():
    length = output_length(STILL, spoken(4.0), "silence", Fraction(30))
    assert (length.frames, length.seconds) == (120, 4.0)


def uploaded(client: httpx.Client, path: Path, kind: str) -> dict[str, str]:
    with path.open("rb") as file:
        answer = client.post("/v2/assets", files={kind: (path.name, file)})
    assert answer.is_success, answer.text
    return {"type": kind, "assetId": answer.json()["id"]}


def asked(client: httpx.Client, *inputs: dict[str, str], **fields: Any) -> httpx.Response:
    return client.post("/v2/analyze/cost", json={"model": "draft", "input": inputs} | fields)


def test_an_estimate_of_uploaded_inputs(client, clips, database):
    film = uploaded(client, clips / "talk_mpeg4_25fps.mp4", "video")
    dialogue = uploaded(client, clips / "dialogue_short.flac", "audio")
    jobs = "SELECT count(*) FROM jobs"
    (found,) = asked(client, film, dialogue, options={"sync_mode": "silence"}).json()
    assert found["estimatedFrameCount"] >= 200
    assert found["estimatedFrameCount"] == round(found["seconds"] * 25)
    assert (found["estimatedGenerationCost"], found["basis"]) == (0, "assumed")
    assert found["estimatedSeconds"] > found["estimatedGpuSeconds"] > 0
    with database.transaction() as session:
        assert session.scalar(text(jobs)) == 0


def test_a_price_makes_a_cost(client, clips, settings, monkeypatch):
    film = uploaded(client, clips / "talk_mpeg4_25fps.mp4", "video")
    dialogue = uploaded(client, clips / "dialogue_short.flac", "audio")
    monkeypatch.setitem(settings.__dict__, "price_per_hour", 3600.0)
    (found,) = asked(client, film, dialogue).json()
    assert found["estimatedGenerationCost"] == pytest.approx(found["estimatedGpuSeconds"], abs=0.01)


def complete_a_job(database: Database, generation_id: str) -> None:
    """As if workers had rendered 100 frames in 50 s, and taken 10 s for the rest."""
    steps = {
        "prepare": (0, 2),
        "detect": (100, 4),
        "track": (0, 1),
        "render": (100, 50),
        "stitch": (0, 3),
    }
    with database.transaction() as session:
        session.execute(text("DELETE FROM steps WHERE job_id = :job"), {"job": generation_id})
        for stage, (frames, seconds) in steps.items():
            session.execute(
                text(
                    "INSERT INTO steps (job_id, project_id, stage, segment_index, queue, rank, "
                    "frames, state, started_at, finished_at) SELECT id, project_id, :stage, 0, "
                    "'cpu', 0, :frames, 'completed', now() - make_interval(secs => :seconds), "
                    "now() FROM jobs WHERE id = :job"
                ),
                {"job": generation_id, "stage": stage, "frames": frames, "seconds": seconds},
            )
        for state in ("preparing", "detecting", "tracking", "rendering", "stitching", "completed"):
            session.execute(
                text("UPDATE jobs SET state = :state WHERE id = :job"),
                {"job": generation_id, "state": state},
            )


def test_time_is_what_the_farm_took_of_late(client, clips, database):
    film = uploaded(client, clips / "talk_mpeg4_25fps.mp4", "video")
    dialogue = uploaded(client, clips / "dialogue_short.flac", "audio")
    made = client.post("/v2/generate", json={"model": "draft", "input": [film, dialogue]}).json()
    complete_a_job(database, made["id"])
    (found,) = asked(client, film, dialogue).json()
    assert found["basis"] == "measured"
    frames = found["estimatedFrameCount"]
    assert found["estimatedGpuSeconds"] == pytest.approx(0.5 * frames)
    assert found["estimatedSeconds"] == pytest.approx(0.6 * frames)
    (other,) = asked(client, film, dialogue, model="wav2lip").json()
    assert other["basis"] == "assumed"


def test_a_timeline_is_as_long_as_its_film(client, clips):
    film = uploaded(client, clips / "talk_mpeg4_25fps.mp4", "video")
    dialogue = uploaded(client, clips / "dialogue_zh.flac", "audio") | {"refId": "one"}
    segments = [{"startTime": 1, "endTime": 2, "audioInput": {"refId": "one"}}]
    (found,) = asked(client, film, dialogue, segments=segments).json()
    assert (found["estimatedFrameCount"], found["seconds"]) == (200, 8.0)


def test_inputs_that_cannot_be_looked_at_are_told(client, clips, stranger):
    film = uploaded(client, clips / "talk_mpeg4_25fps.mp4", "video")
    dialogue = uploaded(client, clips / "dialogue_short.flac", "audio")
    inside = {"type": "audio", "url": "http://127.0.0.1:9/dialogue.wav"}
    refused = asked(client, film, inside)
    assert refused.json()["error_code"] == "generation_input_audio_inaccessible"
    silent = asked(client, {"type": "video", "assetId": dialogue["assetId"]}, dialogue)
    assert silent.json()["error_code"] == "generation_media_metadata_missing"
    nowhere = {"type": "audio", "assetId": str(uuid.uuid4())}
    assert asked(client, film, nowhere).status_code == 400
    assert asked(stranger, film, dialogue).status_code == 400
    assert asked(client, film).json()["error_code"] == "generation_audio_missing"
    assert asked(client, film, dialogue, model="nope").status_code == 400
