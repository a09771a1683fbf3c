"""What a project may name in buckets, and reading it from there."""

import uuid
from pathlib import Path

import pytest

from infra.errors import FetchError
from infra.settings import Settings
from infra.storage.objects import ObjectStore
from infra.storage.s3_inputs import Location, fetch, is_allowed, parse_location, verify

OURS = uuid.uuid4()
BUCKETS = "media-in, archive/dubs, studio=vault/studio/"


@pytest.fixture
def settings(farm_settings: Settings) -> Settings:
    return farm_settings.model_copy(update={"s3_input_buckets": BUCKETS})


@pytest.fixture
def place(farm_settings: Settings) -> Location:
    """An object in a bucket that is not the farm's."""
    store = ObjectStore(farm_settings)
    bucket = f"in-{uuid.uuid4().hex[:12]}"
    store.client.create_bucket(Bucket=bucket)
    store.client.put_object(Bucket=bucket, Key="films/a film.mov", Body=b"frames")
    return Location(bucket, "films/a film.mov")


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3://bucket",
        "s3://bucket/",
        "s3:///key",
        "s3://UPPER/key",
        "s3://a/key",
        "s3://bucket/../other/key",
        "s3://bucket/films/../../other",
        "s3://bucket/./key",
        "s3://bucket//key",
        "s3://bucket/key\0",
        "s3://bucket/a\\b",
        "s3://bucket/" + "k" * 1025,
        "s3://user:password@bucket/key",
        "S3://bucket/key",
    ],
)
def test_what_names_no_object_or_might_name_another_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="s3://"):
        parse_location(url)


@pytest.mark.parametrize(
    ("project", "url", "may"),
    [
        ("any", "s3://media-in/a/b.mov", True),
        ("any", "s3://archive/dubs/b.mov", True),
        ("any", "s3://archive/dubs-of-others/b.mov", False),
        ("any", "s3://archive/films/b.mov", False),
        ("any", "s3://vault/studio/b.mov", False),
        ("studio", "s3://vault/studio/b.mov", True),
        ("studio", "s3://vault/other/b.mov", False),
        ("any", "s3://elsewhere/b.mov", False),
    ],
)
def test_a_project_names_what_the_settings_list(
    settings: Settings, project: str, url: str, may: bool
) -> None:
    assert is_allowed(settings, OURS, project, parse_location(url)) is may


def test_of_the_farms_own_bucket_a_project_names_its_own_whatever_is_listed(
    settings: Settings,
) -> None:
    settings = settings.model_copy(update={"s3_input_buckets": settings.s3_bucket})
    for key, may in (
        (f"projects/{OURS}/outputs/film.mp4", True),
        (f"projects/{uuid.uuid4()}/outputs/film.mp4", False),
        (f"projects/{OURS}-else/film.mp4", False),
        ("film.mp4", False),
    ):
        assert is_allowed(settings, OURS, "p", Location(settings.s3_bucket, key)) is may


def test_nothing_is_listed_unless_somebody_did(farm_settings: Settings) -> None:
    assert not is_allowed(farm_settings, OURS, "p", Location("media-in", "film.mov"))


@pytest.mark.parametrize("entry", ["UPPER", "a/b=c", "s3://bucket", "=bucket", "p=b=c"])
def test_a_list_that_cannot_be_meant_is_refused_at_the_start(
    farm_settings: Settings, entry: str
) -> None:
    with pytest.raises(ValueError, match="BUCKET"):
        Settings(**farm_settings.model_dump() | {"s3_input_buckets": entry})


def test_an_object_is_read_where_it_is(
    farm_settings: Settings, place: Location, tmp_path: Path
) -> None:
    store = ObjectStore(farm_settings)
    assert verify(store, place) == 6
    fetch(store, place, tmp_path / "film.mov", max_bytes=100)
    assert (tmp_path / "film.mov").read_bytes() == b"frames"
    assert list(store.list_objects()) == []


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"max_bytes": 5}, "larger"),
        ({"max_bytes": 9, "size": 7}, "had 7"),
        ({"max_bytes": 9, "sha256": "0" * 64}, "not what it was"),
    ],
)
def test_an_object_that_is_not_what_was_ordered_is_refused(
    farm_settings: Settings, place: Location, tmp_path: Path, more: dict[str, int], reason: str
) -> None:
    with pytest.raises(FetchError, match=reason):
        fetch(ObjectStore(farm_settings), place, tmp_path / "film.mov", **more)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_said_at_once(farm_settings: Settings, place: Location) -> None:
    store = ObjectStore(farm_settings)
    for missing in (Location(place.bucket, "none"), Location("no-such-bucket", "none")):
        with pytest.raises(FetchError, match="there is no such object"):
            verify(store, missing)
