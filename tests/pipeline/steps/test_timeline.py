"""A film on a timeline: where no clip covers it, picture and sound stay; elsewhere it is dubbed."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from pipeline.artifacts import sha256_of
from pipeline.errors import TimelineError
from pipeline.options import Clip, DubOptions, FilmRange
from pipeline.running.commands import run
from pipeline.steps.preparing import Inputs
from tests.patience import LONG_SECONDS
from tests.pipeline.steps.machines import DETECTOR, DRAFT, Farm, dub_here, prepare_on, run_on

F = Fraction

#: Of the film below, in seconds; 25 frames a second.
CLIPS = (Clip(F(1), F(2), 0, F(3), F(4)), Clip(F("2.52"), F("3.4"), 1))
DUBBED = (range(25, 50), range(63, 85))


@pytest.fixture
def talk(clips: Path, ffmpeg: str, tmp_path: Path) -> Path:
    """Four seconds of somebody who speaks, with sound that can be told from the dialogues'."""
    film = tmp_path / "talk.mkv"
    cut = ["-t", "4", "-i", str(clips / "talk_mpeg4_25fps.mp4"), "-c:v", "libx264", "-qp", "0"]
    cut += ["-g", "25"]
    run(
        [ffmpeg, "-nostdin", "-loglevel", "error", *cut, "-c:a", "flac", str(film)],
        timeout=LONG_SECONDS,
    )
    return film


@pytest.fixture
def inputs(talk: Path, clips: Path) -> Inputs:
    dialogues = clips / "dialogue_en.flac", clips / "dialogue_short.flac"
    options = DubOptions(timeline=CLIPS, segment_seconds=1.0, crf=0)
    digests = [sha256_of(path) for path in (talk, *dialogues)]
    return Inputs(
        talk, dialogues[0], "out.mkv", options, DRAFT, DETECTOR, digests[0], digests[1],
        (dialogues[1],), (digests[2],),
    )  # fmt: skip


def pictures(path: Path) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="yuv420p") for f in container.decode(video=0)]


def sound(path: Path, rate: int = 16_000) -> npt.NDArray[np.float32]:
    resampler = av.AudioResampler("fltp", "mono", rate)
    with av.open(str(path)) as container:
        frames = [out for f in container.decode(audio=0) for out in resampler.resample(f)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def likeness(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Correlation of two sounds, whatever their loudness."""
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count], other[:count])[0, 1])


def test_farm_and_laptop_leave_what_no_clip_covers(farm: Farm, inputs: Inputs, tmp_path: Path):
    alone = dub_here(inputs, tmp_path / "out.mkv")
    dub = run_on(farm, inputs)
    assert dub.output.read_bytes() == (tmp_path / "out.mkv").read_bytes()
    before, after = pictures(inputs.source), pictures(dub.output)
    assert len(after) == len(before) == 100
    changed = {i for i in range(100) if not np.array_equal(before[i], after[i])}
    dubbed = {frame for frames in DUBBED for frame in frames}
    assert changed <= dubbed
    assert len(changed) > 0.6 * len(dubbed)
    kept = [(each["start"], each["end"]) for each in dub.report["kept_original"]]
    assert kept == [(0, 25), (50, 63), (85, 100)]
    assert {each["reason"] for each in dub.report["kept_original"]} == {"no clip covers it"}
    assert dub.report["timeline"] == alone["timeline"]
    # What was cut and heard once needs no input again.
    gone = tmp_path / "gone"
    again, _ = prepare_on(farm, replace(inputs, source=gone, dialogue=gone, more_dialogues=(gone,)))
    assert again.sound_key == dub.prepared.sound_key
    assert [clip["dialogue"] for clip in dub.report["timeline"]] == [
        "dialogue_en.flac",
        "dialogue_short.flac",
    ]


def test_each_part_is_heard_where_it_belongs(inputs: Inputs, tmp_path: Path):
    dub_here(inputs, tmp_path / "out.mkv")
    heard, film = sound(tmp_path / "out.mkv"), sound(inputs.source)
    english, short = sound(inputs.dialogue), sound(inputs.more_dialogues[0])

    def part(of: npt.NDArray[np.float32], start: float, end: float) -> npt.NDArray[np.float32]:
        return of[round(start * 16_000) : round(end * 16_000)]

    assert likeness(part(heard, 0, 0.98), part(film, 0, 0.98)) > 0.98
    assert likeness(part(heard, 1.02, 1.98), part(english, 3.02, 3.98)) > 0.98
    assert likeness(part(heard, 2.54, 3.38), part(short, 0.02, 0.86)) > 0.98
    assert likeness(part(heard, 3.42, 3.98), part(film, 3.42, 3.98)) > 0.98


def test_range_kept_under_one_dialogue_keeps_its_picture_alone(inputs: Inputs, tmp_path: Path):
    options = DubOptions(keep_original=(FilmRange(F(1), F(2)),), segment_seconds=1.0, crf=0)
    one = Inputs(inputs.source, inputs.more_dialogues[0], "out.mkv", options, DRAFT, DETECTOR)
    report = dub_here(one, tmp_path / "out.mkv")
    before, after = pictures(inputs.source), pictures(tmp_path / "out.mkv")
    changed = [i for i in range(100) if not np.array_equal(before[i], after[i])]
    assert not set(changed) & set(range(25, 50))
    assert len(changed) > 40
    assert likeness(sound(tmp_path / "out.mkv"), sound(one.dialogue)) > 0.98
    assert report["kept_original"] == [{"start": 25, "end": 50, "reason": "ordered"}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeline": (Clip(F(3), F(5)),)}, "ends after the film, which lasts 4.000 s"),
        ({"timeline": (Clip(F(1), F(2), 2),)}, "there is no dialogue 2"),
        ({"keep_original": (FilmRange(F(4), F(5)),)}, "starts after the film"),
    ],
)
def test_range_that_is_not_of_the_film_is_told(inputs: Inputs, tmp_path: Path, options, words):
    wrong = replace(inputs, options=DubOptions(**options))
    with pytest.raises(TimelineError, match=words):
        dub_here(wrong, tmp_path / "out.mkv")


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ([(2, 1)], "ends after it"),
        ([(-1, 1)], "starts at 0 or later"),
        ([(3, 4), (1, 2)], "put time ranges in order"),
        ([(1, 3), (2, 4)], "2-4 s overlaps 1-3 s"),
    ],
)
def test_ranges_that_cannot_be_are_refused(ranges, words):
    for name, kind in (("timeline", Clip), ("keep_original", FilmRange)):
        with pytest.raises(TimelineError, match=words):
            DubOptions(**{name: tuple(kind(F(a), F(b)) for a, b in ranges)})
