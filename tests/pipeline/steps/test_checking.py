"""Inputs are looked at before any of them is read whole."""

from pathlib import Path

import pytest

from pipeline import prepare
from pipeline.dub import Order, dub_film
from pipeline.errors import UnusableMediaError
from pipeline.options import DubOptions
from pipeline.running.progress import Silent
from tests.pipeline.beeps import make, write_beeps
from tests.pipeline.steps.machines import DETECTOR, DRAFT


def test_what_is_wrong_with_a_film_later_on_is_told_before_it_is_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (f"testsrc2=size={size}:rate=25:duration=2" for size in ("96x64", "64x48"))
    encoding = ("-c:v", "mpeg2video", "-g", "12", "-bf", "0")
    before = make(tmp_path / "1.ts", "-f", "lavfi", "-i", first, *encoding)
    after = make(tmp_path / "2.ts", "-f", "lavfi", "-i", second, *encoding, "-output_ts_offset", 2)
    film = tmp_path / "film.ts"
    film.write_bytes(before.read_bytes() + after.read_bytes())
    dialogue = write_beeps(tmp_path / "dialogue.wav", [0.5], 1.0)
    monkeypatch.setattr(prepare, "sha256_of", lambda _: pytest.fail("it is read whole"))
    order = Order(film, dialogue, tmp_path / "out.mp4", DubOptions(), DRAFT, DETECTOR)
    with pytest.raises(UnusableMediaError, match="the picture changes from 96×64 to 64×48"):
        dub_film(order, Silent())
