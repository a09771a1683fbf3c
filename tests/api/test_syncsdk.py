"""The client existing users have, unmodified, works against the farm."""

import asyncio
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest
from sync import AsyncSync, Sync
from sync.common import Audio, BadRequestError, GenerationOptions, UnauthorizedError, Video
from sync.common.errors import NotFoundError

FILM = Video(url="https://media.example/film.mp4")
DIALOGUE = Audio(url="https://media.example/dialogue.wav")


@pytest.fixture(scope="module")
def sdk(url: str, make_key: Callable[..., str]) -> Iterator[Sync]:
    with httpx.Client(timeout=60) as http:
        yield Sync(base_url=url, api_key=make_key("sdk"), httpx_client=http)


def test_create_by_url_get_and_list(sdk):
    made = sdk.generations.create(
        model="lipsync-2",
        input=[FILM, DIALOGUE],
        options=GenerationOptions(sync_mode="cut_off", temperature=0.5),
        output_file_name="dub",
    )
    assert made.status == "PENDING"
    assert made.model == "lipsync-2"
    assert made.options.sync_mode == "cut_off"
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


def test_the_networks_on_offer(sdk):
    assert {model.id for model in sdk.models.list()} == {"auto", "wav2lip", "draft"}


def test_its_errors_are_the_ones_it_knows(sdk, url):
    with pytest.raises(BadRequestError) as refused:
        sdk.generations.create(model="draft", input=[FILM])
    assert refused.value.body.status_code == 400
    assert "dialogue" in refused.value.body.message
    with pytest.raises(NotFoundError):
        sdk.generations.get(str(uuid.uuid4()))
    with httpx.Client() as http, pytest.raises(UnauthorizedError):
        Sync(base_url=url, api_key="wrong", httpx_client=http).generations.list()


def test_the_asynchronous_client_does_the_same(url, make_key):
    async def run() -> str:
        async with httpx.AsyncClient(timeout=60) as http:
            sdk = AsyncSync(base_url=url, api_key=make_key("sdk"), httpx_client=http)
            made = await sdk.generations.create(model="draft", input=[FILM, DIALOGUE])
            return str((await sdk.generations.get(made.id)).status)

    assert asyncio.run(run()) == "PENDING"
