"""A whole farm, as the clients existing users have see it: to the end of a film and of a batch."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sync import Sync
from sync.common import Audio, Video

from tests.api.test_sdk_js import installed, run  # noqa: F401 -- a fixture
from tests.farm.harness import Farm, running_farm
from tests.patience import LONG_SECONDS


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with running_farm(tmp_path_factory.mktemp("farm") / "data") as farm:
        yield farm


@pytest.fixture(scope="module")
def sdk(farm: Farm) -> Iterator[Sync]:
    with httpx.Client(timeout=LONG_SECONDS) as http:
        yield Sync(base_url=farm.url, api_key=farm.api_key, httpx_client=http)


def ended(get: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LONG_SECONDS
    while (found := get()).status not in {"COMPLETED", "FAILED", "REJECTED"}:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    assert found.status == "COMPLETED", found
    return found


def film_at(url: str) -> bytes:
    answer = httpx.get(url, timeout=LONG_SECONDS)
    answer.raise_for_status()
    return answer.content


def test_the_python_client_sees_a_film_and_a_batch_dubbed(
    farm: Farm, sdk: Sync, short_clip: Path, short_dialogue: Path
) -> None:
    made = sdk.generations.create_with_files(
        model="draft",
        video=(short_clip.name, short_clip.read_bytes()),
        audio=(short_dialogue.name, short_dialogue.read_bytes()),
    )  # with files the client cannot send options
    done = ended(lambda: sdk.generations.get(made.id))
    assert done.output_duration == pytest.approx(3, abs=0.2)
    assert film_at(done.output_url)[4:8] == b"ftyp"
    film, dialogue = (each.asset_id for each in made.input)
    (cost,) = sdk.generations.estimate_cost(
        model="draft", input=[Video(asset_id=film), Audio(asset_id=dialogue)]
    )
    assert cost.estimated_frame_count == 75
    rows = [
        {
            "request_id": language,
            "endpoint": "/v2/generate",
            "payload": {
                "model": "draft",
                "input": [
                    {"type": "video", "assetId": film},
                    {"type": "audio", "assetId": dialogue},
                ],
                "options": {"sync_mode": "silence", "language": language},
            },
        }
        for language in ("fra", "deu")
    ]
    file = "\n".join(map(json.dumps, rows)).encode()
    batch = sdk.batch.create(input=("batch.jsonl", file))
    closed = ended(lambda: sdk.batch.get(batch.id))
    assert (closed.metrics.success_count, closed.metrics.pending_count) == (2, 0)
    results = [json.loads(each) for each in film_at(closed.output_url).splitlines()]
    assert [each["request_id"] for each in results] == ["fra", "deu"]
    with contextlib.closing(farm.client()) as client:
        for each in results:
            assert film_at(each["output_url"])[4:8] == b"ftyp"
            detect = client.get(each["id"])["stages"]["detect"]
            assert detect["reused"] == detect["steps"] > 0


def test_the_javascript_client_sees_them_too(
    farm: Farm,
    installed: Path,  # noqa: F811
    short_clip: Path,
    short_dialogue: Path,
) -> None:
    status, said = run(
        ["node", "--test", "farm.test.mjs"],
        installed,
        2 * LONG_SECONDS,
        LIPFARM_URL=farm.url,
        LIPFARM_API_KEY=farm.api_key,
        FILM=str(short_clip),
        DIALOGUE=str(short_dialogue),
        NO_PROXY="127.0.0.1",
    )
    assert status == 0, said
