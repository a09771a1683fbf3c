"""The collector takes what no row counts, and never what one does."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from infra.db.assets import create_asset
from infra.db.projects import create_project
from infra.db.session import Database
from infra.db.uploads import NewUpload, create_upload
from infra.settings import Settings
from infra.storage import collector, direct_uploads
from infra.storage.artifacts import upload_artifact
from infra.storage.collector import Ages, Garbage, collect_garbage, find_garbage
from infra.storage.names import asset_key
from infra.storage.objects import ObjectStore

NOW = Ages(timedelta(0), timedelta(days=30))


@dataclass
class Place:
    database: Database
    store: ObjectStore
    project: uuid.UUID
    file: Path

    def commit(self, key: str) -> str:
        """An artifact that counts; the key of its object."""
        made = upload_artifact(self.store, self.project, key, {"a": self.file})
        with self.database.transaction() as session:
            session.execute(
                text(
                    "INSERT INTO artifacts (project_id, key, prefix, files, size_bytes) "
                    "VALUES (:project, :key, :prefix, '[]', 1)"
                ),
                {"project": self.project, "key": made.key, "prefix": made.prefix},
            )
        return made.prefix + "a"

    def orphan(self) -> str:
        return upload_artifact(self.store, self.project, "x", {"a": self.file}).prefix + "a"

    def keys(self) -> set[str]:
        return {each["Key"] for each in self.store.list_objects()}


@pytest.fixture
def place(postgres_url: str, farm_settings: Settings, tmp_path: Path) -> Iterator[Place]:
    store = ObjectStore(farm_settings)
    store.ensure_bucket()
    store.delete(each["Key"] for each in store.list_objects())
    database = Database(postgres_url)
    with database.transaction() as session:
        project = create_project(session, uuid.uuid4().hex)
    file = tmp_path / "a"
    file.write_text("a")
    yield Place(database, store, project, file)
    database.close()


def test_an_upload_nobody_committed_goes_and_what_counts_stays(place: Place) -> None:
    kept, orphan = place.commit("k"), place.orphan()
    asset = asset_key(place.project, uuid.uuid4(), "film.mp4")
    place.store.put_file(place.file, asset)
    with place.database.transaction() as session:
        create_asset(session, place.project, "video", "film.mp4", object_key=asset)
    found = {each.key for each in find_garbage(place.database, place.store, NOW)}
    assert found == {orphan}
    assert place.keys() == {kept, asset, orphan}
    assert [each.key for each in collect_garbage(place.database, place.store, NOW)] == [orphan]
    assert place.keys() == {kept, asset}


def test_an_upload_under_way_is_left_alone(place: Place) -> None:
    orphan = place.orphan()
    young = Ages(timedelta(hours=24), timedelta(days=30))
    assert collect_garbage(place.database, place.store, young) == []
    assert place.keys() == {orphan}


def test_artifacts_nobody_used_for_long_go(place: Place) -> None:
    old, fresh = place.commit("old"), place.commit("fresh")
    with place.database.transaction() as session:
        session.execute(
            text("UPDATE artifacts SET last_used_at = now() - interval '31 days' WHERE key = 'old'")
        )
    assert [each.key for each in find_garbage(place.database, place.store, NOW)] == [old]
    collect_garbage(place.database, place.store, NOW)
    assert place.keys() == {fresh}


def test_what_is_committed_meanwhile_stays(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = place.orphan()
    prefix = orphan.rpartition("/")[0] + "/"

    def commit_now(_name: str) -> None:
        with place.database.transaction() as session:
            session.execute(
                text(
                    "INSERT INTO artifacts (project_id, key, prefix, files, size_bytes) "
                    "VALUES (:project, 'late', :prefix, '[]', 1)"
                ),
                {"project": place.project, "prefix": prefix},
            )

    monkeypatch.setattr(collector, "crash_point", commit_now)
    assert collect_garbage(place.database, place.store, NOW) == []
    assert place.keys() == {orphan}


def test_nothing_beside_the_farms_own_is_touched(place: Place) -> None:
    place.store.put_file(place.file, "somebody/elses")
    assert collect_garbage(place.database, place.store, NOW) == []
    assert place.keys() == {"somebody/elses"}


def test_parts_of_uploads_nobody_finished_go(place: Place) -> None:
    key = asset_key(place.project, uuid.uuid4(), "film.mp4")
    client, bucket = place.store.client, place.store.bucket
    begun = client.create_multipart_upload(Bucket=bucket, Key=key)
    client.upload_part(
        Bucket=bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"x" * 1000
    )
    young = Ages(timedelta(hours=24), timedelta(days=30))
    assert collect_garbage(place.database, place.store, young) == []
    expected = [Garbage(key, 1000)]
    assert list(find_garbage(place.database, place.store, NOW)) == expected
    assert collect_garbage(place.database, place.store, NOW) == expected
    assert list(place.store.list_unfinished()) == []


def test_a_clients_upload_has_days_and_then_goes(place: Place) -> None:
    key = asset_key(place.project, uuid.uuid4(), "film.mp4")
    upload = NewUpload(
        uuid.uuid4(), "video", "film.mp4", key, 10, direct_uploads.begin(place.store, key), 5
    )
    whole = asset_key(place.project, uuid.uuid4(), "dub.wav")
    place.store.put_file(place.file, whole)
    with place.database.transaction() as session:
        create_upload(session, place.project, upload)
        sent = NewUpload(uuid.uuid4(), "audio", "dub.wav", whole, 1, None, 1)
        create_upload(session, place.project, sent)
    assert collect_garbage(place.database, place.store, NOW) == []
    over = replace(NOW, client_uploads=timedelta(0))
    assert {each.key for each in collect_garbage(place.database, place.store, over)} == {key, whole}
    assert list(place.store.list_unfinished()) == []
