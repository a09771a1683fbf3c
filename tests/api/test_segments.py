"""Segments, kept ranges and chosen faces of an order: what the job is told, and what is refused."""

import json
import uuid
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from sqlalchemy import select

from infra.db.jobs import boxes_of
from infra.db.models import Asset, Job, JobDialogue
from infra.db.session import Database
from pipeline.options import DubOptions

HOST = "https://media.example"
VIDEO = {"type": "video", "url": f"{HOST}/film.mp4"}
AUDIO = [{"type": "audio", "url": f"{HOST}/{name}.wav", "refId": name} for name in ("ann", "bob")]


def segment(start: float, end: float, name: str, *part: float, **more: Any) -> dict[str, Any]:
    audio = {"refId": name} | dict(zip(("startTime", "endTime"), part, strict=False))
    return {"startTime": start, "endTime": end, "audioInput": audio, **more}


def order(client: httpx.Client, **fields: Any) -> httpx.Response:
    body = {"model": "draft", "input": [VIDEO, *AUDIO], **fields}
    return client.post("/v2/generate", json=body)


def job_of(database: Database, answer: httpx.Response) -> Job:
    assert answer.status_code == 201, answer.text
    with database.transaction() as session:
        job = session.get(Job, uuid.UUID(answer.json()["id"]))
    assert job is not None
    return job


def options_of(job: Job) -> DubOptions:
    return TypeAdapter(DubOptions).validate_python(job.params["options"])


def dialogues_of(database: Database, job: Job) -> list[str]:
    """Names of all its dialogues, in their order."""
    with database.transaction() as session:
        more = select(JobDialogue.asset_id).where(JobDialogue.job_id == job.id)
        ids = [job.dialogue_id, *session.scalars(more.order_by(JobDialogue.position))]
        return [session.get_one(Asset, each).name for each in ids]


def test_segments_become_a_timeline_in_the_order_of_the_film(client, database):
    segments = [
        segment(12.345, 20, "ann", 1.5, 3),
        segment(0.1, 2.7, "bob"),
        segment(2.7, 3, "ann"),
    ]
    answer = order(client, segments=segments)
    job = job_of(database, answer)
    assert answer.json()["segments"] == segments
    assert dialogues_of(database, job) == ["bob.wav", "ann.wav"]
    clips = options_of(job).timeline
    assert [(str(c.start), str(c.end), c.dialogue) for c in clips] == [
        ("1/10", "27/10", 0),
        ("27/10", "3", 1),
        ("2469/200", "20", 1),
    ]
    assert (clips[2].dialogue_start, clips[2].dialogue_end) == (1.5, 3)
    assert (clips[0].dialogue_start, clips[0].dialogue_end) == (0, None)


def test_uploaded_dialogue_is_named_audio(client, database):
    answer = client.post(
        "/v2/generate",
        files={"video": ("film.mp4", b"frames"), "audio": ("one.wav", b"samples")},
        data={"model": "draft", "segments": json.dumps([segment(1, 2, "audio")])},
    )
    job = job_of(database, answer)
    assert dialogues_of(database, job) == ["one.wav"]
    assert len(options_of(job).timeline) == 1


def test_same_order_again_leaves_no_second_dialogues(client, database):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"model": "draft", "input": [VIDEO, *AUDIO]}
    body["segments"] = [segment(0, 1, "ann"), segment(1, 2, "bob")]
    first, again = (client.post("/v2/generate", json=body, headers=headers) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert len(dialogues_of(database, job_of(database, first))) == 2


def test_deleted_generation_lets_go_of_its_dialogues(client, database):
    job = job_of(database, order(client, segments=[segment(0, 1, "ann"), segment(1, 2, "bob")]))
    assert client.delete(f"/v2/generate/{job.id}").is_success
    with database.transaction() as session:
        left = session.scalars(select(JobDialogue).where(JobDialogue.job_id == job.id)).all()
    assert left == []


def test_sync_mode_that_cannot_matter_is_told(client):
    answer = order(
        client,
        input=[VIDEO, AUDIO[0]],
        segments=[segment(0, 1, "ann")],
        options={"sync_mode": "loop"},
    )
    assert any("sync_mode" in line for line in answer.json()["warnings"])


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        ([segment(0, 2, "ann"), segment(1, 3, "bob")], "overlaps the segment 0-2 s"),
        ([segment(2, 2, "ann"), segment(3, 4, "bob")], "ends before it starts"),
        ([segment(0, 1, "ann", 3, 2), segment(3, 4, "bob")], "part of the audio ends before"),
        ([segment(0, 1, "ann"), segment(1, 2, "eve")], "'eve'"),
        ([segment(0, 1, "ann")], "no segment uses the audio input 'bob'"),
        (
            [segment(0, 1, "ann", optionsOverride={"sync_mode": "loop"}), segment(1, 2, "bob")],
            "optionsOverride is not taken",
        ),
        (None, "say in segments which goes where"),
    ],
)
def test_segments_that_cannot_be_are_refused(client, segments, words):
    answer = order(client, segments=segments)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "generation_input_segments_invalid", answer.text
    assert words in answer.text


def test_kept_ranges_become_exact(client, database):
    one = {"input": [VIDEO, AUDIO[0]]}
    job = job_of(database, order(client, **one, options={"keep_original": [[12.5, 20], [1.1, 2]]}))
    assert [(str(r.start), str(r.end)) for r in options_of(job).keep_original] == [
        ("11/10", "2"),
        ("25/2", "20"),
    ]
    for wrong in ([[2, 1]], [[0, 2], [1, 3]], [[1]], [[-1, 2]]):
        refused = order(client, **one, options={"keep_original": wrong})
        assert refused.status_code == 400
        assert refused.json()["error_code"] == "generation_input_validation_failed"


def speaker(client: httpx.Client, **asked: Any) -> httpx.Response:
    options = {"active_speaker_detection": asked}
    return order(client, input=[VIDEO, AUDIO[0]], options=options)


def test_point_on_a_face_goes_to_the_job(client, database):
    answer = speaker(client, auto_detect=False, frame_number=48, coordinates=[640, 210])
    (point,) = options_of(job_of(database, answer)).chosen
    assert (point.frame, point.x, point.y) == (48, 640, 210)
    assert options_of(job_of(database, speaker(client, auto_detect=True))).chosen == ()


def test_boxes_wait_where_no_claim_and_no_answer_carries_them(client, database):
    boxes = [[1, 2, 30, 40], None, [2, 2, 30, 40]]
    answer = speaker(client, bounding_boxes=boxes)
    job = job_of(database, answer)
    with database.transaction() as session:
        assert boxes_of(session, job.id) == boxes
    assert "face_boxes" in job.params
    assert "face_boxes" not in job.request
    assert "30" not in json.dumps(job.params)
    assert "bounding_boxes" not in answer.text


def test_boxes_by_url_are_fetched_later(client, database):
    url = f"{HOST}/boxes.json"
    job = job_of(database, speaker(client, bounding_boxes_url=url))
    assert job.params["face_boxes"] == {"url": url}


@pytest.mark.parametrize(
    "asked",
    [
        {"frame_number": 1},
        {"coordinates": [1, 2]},
        {"auto_detect": True, "frame_number": 1, "coordinates": [1, 2]},
        {"frame_number": 1, "coordinates": [1, 2], "bounding_boxes": [[1, 2, 3, 4]]},
        {"bounding_boxes": [[3, 2, 1, 4]]},
        {"bounding_boxes": [None, None]},
        {"bounding_boxes_url": "file:///etc/passwd"},
        {"bounding_boxes_url": "https://user:word@media.example/boxes.json"},
    ],
)
def test_choice_that_contradicts_itself_is_refused(client, asked):
    answer = speaker(client, **asked)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "generation_input_face_selection_invalid", answer.text


def test_batch_row_may_have_segments(client, database):
    payload = {"model": "draft", "input": [VIDEO, *AUDIO]}
    payload["segments"] = [segment(0, 1, "bob"), segment(1, 2, "ann")]
    line = {"request_id": uuid.uuid4().hex, "endpoint": "/v2/generate", "payload": payload}
    files = {"input": ("rows.jsonl", json.dumps(line).encode())}
    answer = client.post("/v2/batch", files=files)
    assert answer.is_success, answer.text
    with database.transaction() as session:
        job = session.scalars(
            select(Job).where(Job.batch_id == uuid.UUID(answer.json()["id"]))
        ).one()
    assert dialogues_of(database, job) == ["bob.wav", "ann.wav"]
