"""A whole farm, as its users see it."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import redis
import skimage.data
from PIL import Image
from pydantic import TypeAdapter
from sqlalchemy import text

from api.farm_schemas import Report
from infra.bells import Ringer
from infra.services.folder import FarmFolder
from pipeline.artifacts import sha256_of
from pipeline.dub import Order, dub_film
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.running.progress import Silent
from tests.farm.conftest import HurtFarm
from tests.patience import until

_OPTIONS = {"segment_seconds": 1}

#: Long enough for a step that goes on though it must not.
_A_WHILE_SECONDS = 2.0


def steps(hurt_farm: HurtFarm, job: str, stage: str) -> list[Any]:
    with hurt_farm.database.transaction() as session:
        query = "SELECT * FROM steps WHERE job_id = CAST(:job AS uuid) AND stage = :stage"
        return list(session.execute(text(query), {"job": job, "stage": stage}))


def wait_until_rendering(hurt_farm: HurtFarm, job: str) -> None:
    until(lambda: any(step.state == "running" for step in steps(hurt_farm, job, "render")))


def runners(hurt_farm: HurtFarm, job: str) -> int:
    """Running steps of a job, as the database has them."""
    with hurt_farm.database.transaction() as session:
        query = "SELECT count(*) FROM steps WHERE job_id = CAST(:job AS uuid) AND state = 'running'"
        return int(session.execute(text(query), {"job": job}).scalar_one())


def left_of(hurt_farm: HurtFarm, job: str) -> list[str]:
    """Files named for a job, of a folder in which others come and go meanwhile."""
    walk = os.walk(hurt_farm.farm.data)
    return [name for _, folders, files in walk for name in folders + files if job in name]


@pytest.fixture(scope="module")
def long_clip(clips: Path) -> Path:
    """Long enough to be caught at work."""
    return clips / "portrait_25fps.mp4"


@pytest.fixture(scope="module")
def long_dialogue(clips: Path) -> Path:
    return clips / "dialogue_zh.flac"


def test_the_farms_output_is_the_one_of_lipfarm_dub(
    hurt_farm: HurtFarm, short_clip: Path, short_dialogue: Path, tmp_path: Path
) -> None:
    client = hurt_farm.new_client()
    job = client.submit(short_clip, short_dialogue, model="draft", options=_OPTIONS)
    assert client.wait(job)["status"] == "COMPLETED"
    output = tmp_path / "dub.mp4"
    dub_film(
        Order(
            short_clip,
            short_dialogue,
            output,
            DubOptions(segment_seconds=1),
            NetworkChoice("draft"),
            DetectorChoice(),
        ),
        Silent(),
    )
    assert client.output_sha256(job) == sha256_of(output)


def test_a_photograph_gives_the_same_file_as_on_one_machine(
    hurt_farm: HurtFarm, short_dialogue: Path, tmp_path: Path
) -> None:
    """As a telephone leaves it: it lies on its side, and no suffix says what it is."""
    photograph = tmp_path / "portrait"
    face = Image.fromarray(skimage.data.astronaut()).crop((60, 0, 380, 320))
    exif = Image.Exif()
    exif[0x0112] = 6
    face.rotate(90).save(photograph, "JPEG", exif=exif, quality=90)
    client = hurt_farm.new_client()
    job = client.submit(photograph, short_dialogue, model="draft", options=_OPTIONS)
    assert client.wait(job)["status"] == "COMPLETED"
    report = json.loads(client.text_of(f"/v2/generate/{job}/report"))
    assert report["source"]["is_still"]
    assert report["frames"]["dubbed"] == report["frames"]["out"] > 70
    output = tmp_path / "dub.mp4"
    options = DubOptions(segment_seconds=1)
    chosen = (NetworkChoice("draft"), DetectorChoice())
    dub_film(Order(photograph, short_dialogue, output, options, *chosen), Silent())
    assert client.output_sha256(job) == sha256_of(output)


def test_a_picture_that_is_not_taken_is_rejected_as_what_it_is(
    hurt_farm: HurtFarm, short_dialogue: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\x0a" + bytes(4000))
    client = hurt_farm.new_client()
    job = client.submit(tmp_path / "a.jpg", short_dialogue, model="draft")
    said = client.wait(job)
    assert said["status"] == "REJECTED"
    assert "is JPEG XL, which is not taken" in json.dumps(said)


def test_a_report_has_the_shape_it_is_said_to_have(
    hurt_farm: HurtFarm, short_clip: Path, short_dialogue: Path
) -> None:
    client = hurt_farm.new_client()
    job = client.submit(short_clip, short_dialogue, model="draft", options=_OPTIONS)
    assert client.wait(job)["status"] == "COMPLETED"
    report = json.loads(client.text_of(f"/v2/generate/{job}/report"))
    TypeAdapter(Report).validate_python(report)
    assert report.keys() <= Report.__annotations__.keys()


def test_a_second_language_detects_no_face_again_and_says_so(
    hurt_farm: HurtFarm, short_clip: Path, short_dialogue: Path, clips: Path
) -> None:
    client = hurt_farm.new_client()
    first = client.submit(short_clip, short_dialogue, language="fra", options=_OPTIONS)
    assert client.wait(first)["status"] == "COMPLETED"
    assert not any(step.reused for step in steps(hurt_farm, first, "detect"))
    other = clips / "dialogue_short.flac"
    second = client.submit(
        short_clip, other, language="deu", options=_OPTIONS | {"sync_mode": "cut_off"}
    )
    assert client.wait(second)["status"] == "COMPLETED"
    assert all(step.reused for step in steps(hurt_farm, second, "detect"))
    with hurt_farm.database.transaction() as session:
        query = (
            "SELECT count(*) FROM attempts a JOIN steps s ON s.id = a.step_id "
            "WHERE s.job_id = CAST(:job AS uuid) AND s.stage = 'detect'"
        )
        assert session.execute(text(query), {"job": second}).scalar_one() == 0


@pytest.mark.slow
def test_two_languages_at_once_detect_each_segment_once(
    hurt_farm: HurtFarm, short_clip: Path, short_dialogue: Path, clips: Path
) -> None:
    client = hurt_farm.new_client()
    jobs = [
        client.submit(short_clip, audio, options=_OPTIONS | {"sync_mode": "cut_off"})
        for audio in (short_dialogue, clips / "dialogue_short.flac")
    ]
    for job in jobs:
        assert client.wait(job)["status"] == "COMPLETED"
    made = [step.reused for job in jobs for step in steps(hurt_farm, job, "detect")]
    assert made.count(False) == made.count(True)


@pytest.mark.slow
def test_the_same_order_again_renders_nothing(
    hurt_farm: HurtFarm, short_clip: Path, short_dialogue: Path
) -> None:
    client = hurt_farm.new_client()
    jobs = [client.submit(short_clip, short_dialogue, options=_OPTIONS) for _ in range(1)]
    assert client.wait(jobs[0])["status"] == "COMPLETED"
    jobs.append(client.submit(short_clip, short_dialogue, options=_OPTIONS))
    assert client.wait(jobs[1])["status"] == "COMPLETED"
    assert all(step.reused for step in steps(hurt_farm, jobs[1], "render"))
    assert client.output_sha256(jobs[0]) == client.output_sha256(jobs[1])


def test_an_emptied_redis_and_bells_of_any_kind_change_nothing(
    hurt_farm: HurtFarm, short_clip: Path, short_dialogue: Path
) -> None:
    url = FarmFolder(hurt_farm.farm.data).environment()["LIPFARM_REDIS_URL"]
    client = hurt_farm.new_client()
    ringer = Ringer(url)
    job = client.submit(short_clip, short_dialogue, options=_OPTIONS)
    with redis.Redis.from_url(url) as broker:
        for _ in range(20):
            broker.flushall()
            for queue in ("stitch", "gpu", "cpu", "gpu"):
                ringer.ring(queue)  # type: ignore[arg-type]
            broker.publish("/0.lipfarm.cpu", "not even JSON")
            broker.publish(
                "/0.lipfarm.gpu", '{"body": "Zm9yZ2Vk", "headers": {"task": "os.system"}}'
            )
            time.sleep(0.1)
    ringer.close()
    assert client.wait(job)["status"] == "COMPLETED"
    assert hurt_farm.farm.audit() == []


def test_cancel_acts_at_once_and_leaves_nothing(
    hurt_farm: HurtFarm, long_clip: Path, long_dialogue: Path
) -> None:
    client = hurt_farm.new_client()
    job = client.submit(long_clip, long_dialogue, options=_OPTIONS)
    wait_until_rendering(hurt_farm, job)
    assert client.post(f"/v2/generate/{job}/cancel").is_success
    assert runners(hurt_farm, job) == 0
    until(lambda: not left_of(hurt_farm, job), "the end of what the job left")
    assert hurt_farm.farm.audit() == []


@pytest.mark.slow
def test_pause_gives_back_and_resume_goes_on(
    hurt_farm: HurtFarm, short_clip: Path, short_dialogue: Path
) -> None:
    client = hurt_farm.new_client()
    job = client.submit(short_clip, short_dialogue, options=_OPTIONS)
    wait_until_rendering(hurt_farm, job)
    assert client.post(f"/v2/generate/{job}/pause").is_success
    assert runners(hurt_farm, job) == 0
    done = [step.state for step in steps(hurt_farm, job, "render")].count("completed")
    time.sleep(_A_WHILE_SECONDS)
    assert [step.state for step in steps(hurt_farm, job, "render")].count("completed") == done
    assert client.post(f"/v2/generate/{job}/resume").is_success
    assert client.wait(job)["status"] == "COMPLETED"


def test_what_cannot_be_dubbed_is_rejected_with_the_reason(
    hurt_farm: HurtFarm, short_dialogue: Path, tmp_path: Path
) -> None:
    text_file = tmp_path / "film.mp4"
    text_file.write_text("this is no film\n" * 100)
    client = hurt_farm.new_client()
    done = client.wait(client.submit(text_file, short_dialogue))
    assert done["status"] == "REJECTED"
    assert done["error"]
    assert hurt_farm.farm.audit() == []
