"""The Python client existing users have, unmodified, works against the farm: waiting and async."""

import asyncio
import inspect
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sync import AsyncSync, Sync
from sync.common import (
    ActiveSpeaker,
    Audio,
    BadRequestError,
    GenerationOptions,
    GenerationSegment,
    SegmentAudioInput,
    UnauthorizedError,
    Video,
)
from sync.common.errors import NotFoundError

from tests.api.manifests import jsonl, line
from tests.patience import LONG_SECONDS

FILM = Video(url="https://media.example/film.mp4")
DIALOGUE = Audio(url="https://media.example/dialogue.wav")


class Awaited:
    """The asynchronous client, each call of it run to its end."""

    def __init__(self, target: object, run: Callable[[Awaitable[Any]], Any]) -> None:
        self._target, self._run = target, run

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if inspect.iscoroutinefunction(found):
            return lambda *args, **fields: self._run(found(*args, **fields))
        return Awaited(found, self._run)


@pytest.fixture(scope="module")
def key(make_key: Callable[..., str]) -> str:
    return make_key("sdk")


@pytest.fixture(scope="module")
def http(url: str, key: str) -> Iterator[httpx.Client]:
    """For the calls the client has not, in the same project."""
    with httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=LONG_SECONDS) as client:
        yield client


@pytest.fixture(scope="module", params=["sync", "async"])
def sdk(request: pytest.FixtureRequest, url: str, key: str) -> Iterator[Any]:
    if request.param == "sync":
        with httpx.Client(timeout=LONG_SECONDS) as http:
            yield Sync(base_url=url, api_key=key, httpx_client=http)
        return
    with asyncio.Runner() as runner:
        http_async = httpx.AsyncClient(timeout=LONG_SECONDS)
        client = AsyncSync(base_url=url, api_key=key, httpx_client=http_async)
        yield Awaited(client, runner.run)
        runner.run(http_async.aclose())


def test_create_by_url_get_and_list(sdk):
    made = sdk.generations.create(
        model="lipsync-2",
        input=[FILM, DIALOGUE],
        options=GenerationOptions(
            sync_mode="cut_off",
            temperature=0.5,
            occlusion_detection_enabled=True,
            active_speaker_detection=ActiveSpeaker(auto_detect=True),
        ),
        webhook_url="https://hooks.example/ended",
        output_file_name="dub",
    )
    assert made.status == "PENDING"
    assert made.model == "lipsync-2"
    assert made.options.sync_mode == "cut_off"
    assert made.webhook_url == "https://hooks.example/ended"
    assert [type(i) for i in made.input] == [Video, Audio]
    assert sdk.generations.get(made.id) == made
    assert made.id in [g.id for g in sdk.generations.list(status=["PENDING", "PROCESSING"])]
    assert [g.id for g in sdk.generations.list(ids=[made.id])] == [made.id]
    assert sdk.generations.list(status=["COMPLETED"]) == []


def test_create_with_files(sdk):
    made = sdk.generations.create_with_files(
        model="draft", video=("film.mp4", b"frames"), audio=("dialogue.wav", b"samples")
    )
    assert made.status == "PENDING"
    asset = sdk.assets.get(made.input[0].asset_id)
    assert (asset.name, asset.type, asset.size) == ("film.mp4", "VIDEO", 6)
    assert asset.id in [item.id for item in sdk.assets.list(limit=100).items]


def test_create_with_assets(sdk):
    first = sdk.generations.create_with_files(model="draft", video=b"frames", audio=b"samples")
    film, dialogue = (i.asset_id for i in first.input)
    made = sdk.generations.create(
        model="draft", input=[Video(asset_id=film), Audio(asset_id=dialogue)]
    )
    assert [i.asset_id for i in made.input] == [film, dialogue]


def test_create_with_segments(sdk):
    made = sdk.generations.create(
        model="draft",
        input=[
            FILM,
            Audio(url="https://media.example/one.wav", ref_id="one"),
            Audio(url="https://media.example/two.wav", ref_id="two"),
        ],
        segments=[
            GenerationSegment(
                start_time=0, end_time=2.5, audio_input=SegmentAudioInput(ref_id="one")
            ),
            GenerationSegment(
                start_time=4,
                end_time=6,
                audio_input=SegmentAudioInput(ref_id="two", start_time=1, end_time=3),
            ),
        ],
    )
    assert made.status == "PENDING"
    first, second = made.segments
    assert (first.start_time, first.end_time, first.audio_input.ref_id) == (0, 2.5, "one")
    assert (second.audio_input.start_time, second.audio_input.end_time) == (1, 3)
    assert sdk.generations.get(made.id).segments == made.segments


def test_an_end_is_seen_by_who_waits_and_what_is_deleted_is_gone(sdk, http):
    made = sdk.generations.create(model="draft", input=[FILM, DIALOGUE])
    http.post(f"/v2/generate/{made.id}/cancel").raise_for_status()
    ended = sdk.generations.get(made.id)
    assert (ended.status, ended.error_code) == ("FAILED", "generation_canceled")
    assert http.delete(f"/v2/generate/{made.id}").status_code == 204
    with pytest.raises(NotFoundError):
        sdk.generations.get(made.id)


def test_the_cost_is_estimated(sdk, clips):
    film, dialogue = clips / "talk_mpeg4_25fps.mp4", clips / "dialogue_short.flac"
    made = sdk.generations.create_with_files(
        model="draft",
        video=(film.name, film.read_bytes()),
        audio=(dialogue.name, dialogue.read_bytes()),
    )
    (found,) = sdk.generations.estimate_cost(
        model="draft",
        input=[Video(asset_id=made.input[0].asset_id), Audio(asset_id=made.input[1].asset_id)],
        options=GenerationOptions(sync_mode="cut_off"),
    )
    assert found.estimated_frame_count > 0
    assert found.estimated_generation_cost == 0


def test_batches_are_created_got_and_listed(sdk):
    since = datetime.now(UTC) - timedelta(hours=1)
    file = ("batch.jsonl", jsonl(line("a"), line("b")))
    batch = sdk.batch.create(input=file, webhook_url="https://hooks.example/batch")
    assert batch.status == "JOBS_CREATED"
    assert batch.webhook_url == "https://hooks.example/batch"
    assert (batch.metrics.total_generations, batch.metrics.pending_count) == (2, 2)
    assert batch.created_at > since
    again = sdk.batch.get(batch.id)
    assert (again.id, again.metrics, again.created_at) == (
        batch.id,
        batch.metrics,
        batch.created_at,
    )
    listed = sdk.batch.list(status="JOBS_CREATED", created_after=since)
    assert batch.id in [each.id for each in listed]
    assert sdk.batch.list(created_before=since) == []


def test_a_dry_run_validates_alone(sdk):
    before = len(sdk.batch.list())
    found = sdk.batch.create(input=("batch.jsonl", jsonl(line("a"))), dry_run=True)
    assert found.status == "VALIDATED"
    assert len(sdk.batch.list()) == before


def test_a_batchs_mistakes_are_the_errors_it_knows(sdk):
    wrong = json.dumps({"request_id": "a", "endpoint": "/v2/other", "payload": {}}).encode()
    with pytest.raises(BadRequestError) as refused:
        sdk.batch.create(input=("batch.jsonl", wrong))
    assert refused.value.body.status_code == 400
    assert refused.value.body.error_code == "batch_invalid_endpoint"
    assert "line 1" in refused.value.body.message
    with pytest.raises(NotFoundError):
        sdk.batch.get(str(uuid.uuid4()))


def test_the_networks_on_offer(sdk):
    assert {model.id for model in sdk.models.list()} == {"auto", "wav2lip", "draft"}


def test_its_errors_are_the_ones_it_knows(sdk, url):
    with pytest.raises(BadRequestError) as refused:
        sdk.generations.create(model="draft", input=[FILM])
    assert refused.value.body.status_code == 400
    assert refused.value.body.error_code == "generation_audio_missing"
    assert "dialogue" in refused.value.body.message
    with pytest.raises(NotFoundError):
        sdk.generations.get(str(uuid.uuid4()))
    with httpx.Client() as http, pytest.raises(UnauthorizedError):
        Sync(base_url=url, api_key="wrong", httpx_client=http).generations.list()
