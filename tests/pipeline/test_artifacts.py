import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.artifacts import MissingArtifactsError, Read, Store, artifact_key, sha256_of
from pipeline.errors import OutputError, ParameterError


def test_key_depends_on_every_determinant() -> None:
    keys = {
        artifact_key("detect", 1, source="a", start=0),
        artifact_key("detect", 2, source="a", start=0),
        artifact_key("render", 1, source="a", start=0),
        artifact_key("detect", 1, source="b", start=0),
        artifact_key("detect", 1, source="a", start=1),
    }
    assert len(keys) == 5


def test_key_does_not_depend_on_the_order_of_determinants() -> None:
    assert artifact_key("detect", 1, a=1, b=2) == artifact_key("detect", 1, b=2, a=1)


def test_digest_is_sha256(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"lip" * 1_000_000)
    assert sha256_of(file) == hashlib.sha256(b"lip" * 1_000_000).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "work") as store:
        yield store


def test_artifact_appears_only_when_complete(store: Store) -> None:
    with pytest.raises(RuntimeError), store.writing_folder("k") as folder:
        (folder / "a").write_bytes(b"half")
        raise RuntimeError
    assert [p.name for p in store.root.iterdir()] == [".lock"]
    with store.writing_folder("k") as folder:
        (folder / "a").write_bytes(b"whole")
        assert not store.path("k").exists()
    assert (store.path("k") / "a").read_bytes() == b"whole"


def test_the_umask_decides_who_may_read_an_artifact(store: Store, tmp_path: Path) -> None:
    with store.writing_folder("k"):
        pass
    (tmp_path / "plain").mkdir()
    assert store.path("k").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_left_overs_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".tmp-file").write_bytes(b"half")
    (tmp_path / ".tmp-folder").mkdir()
    Store(tmp_path).close()
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_second_run_in_one_folder_is_refused(tmp_path: Path) -> None:
    first = Store(tmp_path)
    with pytest.raises(ParameterError, match="another run"):
        Store(tmp_path)
    first.close()
    Store(tmp_path).close()


def test_unusable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="another folder"):
        Store(tmp_path / "file")


def test_a_store_sent_to_another_process_is_the_same_store(tmp_path: Path) -> None:
    """What was loaded for it there stays good for the next step."""
    with Store(tmp_path) as store:
        sent = copy.copy(store)  # which takes what a process is sent
        assert sent == store
        assert hash(sent) == hash(store)


def test_missing_files_are_named_all_at_once(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with store.writing_folder("here") as folder:
            (folder / "a").write_text("")
        reads = [Read("here", ("a",)), Read("here", ("a", "b")), Read("there", ("c",))]
        with pytest.raises(MissingArtifactsError) as caught:
            store.require(*reads)
        assert caught.value.reads == tuple(reads[1:])


def test_an_artifact_fetched_in_part_is_completed(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.path("key").mkdir()
        (store.path("key") / "a").write_text("fetched")
        with store.writing_folder("key") as folder:
            (folder / "a").write_text("made")
            (folder / "b").write_text("made")
        assert store.holds(Read("key", ("a", "b")))
        assert not list(tmp_path.glob(".tmp-*"))
