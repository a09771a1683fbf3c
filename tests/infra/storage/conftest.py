"""One SeaweedFS for all tests of the bucket."""

from collections.abc import Iterator

import pytest

from infra.services.seaweed import SeaweedFS, running_seaweed
from infra.storage.objects import ObjectStore
from tests.infra.mirror import Mirror
from tests.infra.storage.buckets import store_at


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    yield server
    server.close()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    with running_seaweed(tmp_path_factory.mktemp("bucket")) as server:
        yield server


@pytest.fixture(scope="session")
def store(seaweed: SeaweedFS) -> ObjectStore:
    made = store_at(seaweed, seaweed.url)
    made.ensure_bucket()
    return made
