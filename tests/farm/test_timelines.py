"""A timeline on a whole farm: its output is a laptop's, and before and after can be looked at."""

import json
from fractions import Fraction
from pathlib import Path

import av
import httpx

from pipeline.artifacts import sha256_of
from pipeline.dub import Order, dub_film
from pipeline.options import Clip, DetectorChoice, DubOptions, FilmRange, NetworkChoice
from pipeline.running.progress import Silent
from tests.farm.conftest import HurtFarm
from tests.patience import LONG_SECONDS

SEGMENT = {
    "startTime": 0.52,
    "endTime": 2.2,
    "audioInput": {"refId": "audio", "startTime": 0.3, "endTime": 1.5},
}


def test_the_farms_timeline_is_the_one_of_lipfarm_dub_and_has_a_preview(
    hurt_farm: HurtFarm, short_clip: Path, short_dialogue: Path, tmp_path: Path
) -> None:
    client = hurt_farm.new_client()
    options = {"segment_seconds": 1, "keep_original": [[1.6, 1.8]]}
    job = client.submit(
        short_clip, short_dialogue, model="draft", options=options, segments=[SEGMENT]
    )
    made = client.wait(job)
    assert made["status"] == "COMPLETED", made
    clip = Clip(Fraction("0.52"), Fraction("2.2"), 0, Fraction("0.3"), Fraction("1.5"))
    kept = FilmRange(Fraction("1.6"), Fraction("1.8"))
    output = tmp_path / "dub.mp4"
    dub_film(
        Order(
            short_clip,
            short_dialogue,
            output,
            DubOptions(segment_seconds=1, timeline=(clip,), keep_original=(kept,)),
            NetworkChoice("draft"),
            DetectorChoice(),
        ),
        Silent(),
    )
    assert client.output_sha256(job) == sha256_of(output)
    preview = tmp_path / "preview.mp4"
    preview.write_bytes(fetch(client.url_of(f"/v2/generate/{job}/preview")))
    with av.open(str(preview)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 75
        assert container.streams.audio[0].codec_context.name == "aac"
    steps = json.loads(client.text_of(f"/v2/generate/{job}/steps"))
    rendered = [step["id"] for step in steps if step["stage"] == "render"]
    assert len(rendered) == 3
    for step in rendered:
        still = fetch(client.url_of(f"/v2/generate/{job}/steps/{step}/still"))
        assert still.startswith(b"\xff\xd8")


def fetch(url: str) -> bytes:
    answer = httpx.get(url, timeout=LONG_SECONDS)
    answer.raise_for_status()
    return answer.content
