"""Before and after over HTTP: where the pictures are, for whoever may see the generation."""

import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.routes import outputs
from infra.db.garbage import keys_that_count
from infra.db.session import Database
from pipeline.steps.facts import PREVIEW_FILE, STILL_FILE

PICTURES = {"preview": b"a small film", "still": b"a picture"}

_STEP = text("""
INSERT INTO steps (job_id, project_id, stage, segment_index, queue, rank, state, artifact_id)
SELECT id, project_id, 'render', :index, 'gpu', 0, 'completed', CAST(:artifact AS uuid)
FROM jobs WHERE id = :job RETURNING id
""")
_ARTIFACT = text("""
INSERT INTO artifacts (project_id, key, prefix, files, size_bytes)
SELECT project_id, :prefix, :prefix, CAST(:files AS jsonb), 1 FROM jobs WHERE id = :job RETURNING id
""")


@pytest.fixture(scope="module")
def generation(client: httpx.Client, database: Database, store: Any, tmp_path_factory: Any) -> Any:
    """One with a preview, a range with a still, one without, and one that made nothing."""
    inputs = [{"type": kind, "url": f"https://media.example/{kind}"} for kind in ("video", "audio")]
    made = client.post("/v2/generate", json={"input": inputs, "model": "draft"}).json()
    folder = tmp_path_factory.mktemp("pictures")
    prefix = f"projects/test/{uuid.uuid4().hex}/"
    for name, content in (("preview.mp4", PICTURES["preview"]), ("still.jpg", PICTURES["still"])):
        (folder / name).write_bytes(content)
        place = f"{prefix}output/" if name == "preview.mp4" else prefix
        store.put_file(folder / name, place + name)
    with database.transaction() as session:
        session.execute(
            text("UPDATE jobs SET preview_key = :key WHERE id = :job"),
            {"key": prefix + "output/preview.mp4", "job": made["id"]},
        )
        steps = []
        for index, files in enumerate(('[{"name": "still.jpg"}]', '[{"name": "segment.nut"}]', "")):
            values = {"prefix": prefix if not index else f"{prefix}{index}/", "files": files}
            artifact = session.scalar(_ARTIFACT, values | {"job": made["id"]}) if files else None
            values = {"job": made["id"], "index": index, "artifact": artifact}
            steps.append(session.scalar(_STEP, values))
    return made["id"], steps


def test_names_are_the_pipelines():
    assert (outputs.PREVIEW_NAME, outputs.STILL_NAME) == (PREVIEW_FILE, STILL_FILE)


def test_preview_and_still_are_where_the_answer_leads(client, generation):
    job, (step, *_) = generation
    for path, content in (("preview", "preview"), (f"steps/{step}/still", "still")):
        answer = client.get(f"/v2/generate/{job}/{path}", follow_redirects=False)
        assert answer.status_code == 307
        assert httpx.get(answer.headers["location"]).content == PICTURES[content]


def test_what_has_no_picture_says_so(client, generation):
    job, (_, *without) = generation
    for step in without:
        answer = client.get(f"/v2/generate/{job}/steps/{step}/still")
        assert (answer.status_code, answer.json()["error_code"]) == (404, "output_not_ready")
    for step in ("0", "9" * 18, "9" * 40, "x", "-1"):
        answer = client.get(f"/v2/generate/{job}/steps/{step}/still")
        assert (answer.status_code, answer.json()["error_code"]) == (404, "step_not_found")


def test_preview_is_not_garbage_while_its_generation_is_there(database, generation):
    job, _ = generation
    with database.transaction() as session:
        key = session.scalar(text("SELECT preview_key FROM jobs WHERE id = :job"), {"job": job})
        assert keys_that_count(session, [key, f"{key}.other"]) == {key}


def test_generation_without_a_preview_says_so(client):
    inputs = [{"type": kind, "url": f"https://media.example/{kind}"} for kind in ("video", "audio")]
    made = client.post("/v2/generate", json={"input": inputs, "model": "draft"}).json()
    assert made["previewUrl"] is None
    answer = client.get(f"/v2/generate/{made['id']}/preview")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "output_not_ready")


def test_generation_says_where_its_preview_is(client, generation):
    job, _ = generation
    assert client.get(f"/v2/generate/{job}").json()["previewUrl"] == f"/v2/generate/{job}/preview"


def test_another_project_sees_none_of_it(stranger, generation):
    job, (step, *_) = generation
    for path in ("preview", f"steps/{step}/still"):
        answer = stranger.get(f"/v2/generate/{job}/{path}", follow_redirects=False)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "generation_not_found")


def test_a_step_of_another_generation_is_none_of_this_one(client, generation):
    _, (step, *_) = generation
    inputs = [{"type": kind, "url": f"https://media.example/{kind}"} for kind in ("video", "audio")]
    made = client.post("/v2/generate", json={"input": inputs, "model": "draft"}).json()
    answer = client.get(f"/v2/generate/{made['id']}/steps/{step}/still", follow_redirects=False)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "step_not_found")
