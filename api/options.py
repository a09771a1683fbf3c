"""The ``options`` of a generation: those lip-sync clients know, and the farm's own.

What they ask for becomes the fields of ``pipeline.options.DubOptions`` in the job's ``params``; the
two are compared by a test, as the API does not import the pipeline.
"""

import re
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from api.speakers import ActiveSpeaker
from api.timelines import MAX_SEGMENTS, Seconds, exact

SyncMode = Literal["cut_off", "loop", "bounce", "silence", "remap"]
FaceChoice = Literal["largest", "all"]
Blend = Literal["feather", "box"]
KeepAudio = Literal["all", "none"]

#: As in x264 and x265.
Preset = Literal[
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
]


def _check_language(tag: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise ValueError("it is a language tag such as fra or pt-BR")
    return tag


#: Tag of a track's language, as in BCP 47.
Language = Annotated[str, Field(max_length=35), AfterValidator(_check_language)]

_MAX_FPS = 1000

#: As people write rates. Looked at before a number is made of it: that of 1e999999999 takes hours.
_RATE = re.compile(r"[0-9]{1,10}(\.[0-9]{1,20})?|[0-9]{1,10}/[0-9]{1,10}")

#: FFmpeg's rates are of 32-bit integers.
_LARGEST_INTEGER = 2**31 - 1

#: Pixels; no film is larger, and a database holds them.
_Pixel = Annotated[int, Field(ge=0, le=65_535)]
_Range = Annotated[list[Seconds], Field(min_length=2, max_length=2)]
_Pad = Annotated[int, Field(ge=-4096, le=4096)]


class Options(BaseModel):
    """How a film is dubbed.

    Attributes:
        sync_mode: what gives way when film and dialogue differ in length.
        temperature, occlusion_detection_enabled, model_mode, prompt: of other networks; taken,
            and answered with a warning.
        active_speaker_detection: who is dubbed, in place of ``faces``.
        faces: ``largest``, the most prominent face of each shot, or ``all``.
        box: [x1, y1, x2, y2] of the one face in every frame; nothing is detected.
        pads: pixels added to a face's box at the top, bottom, left and right.
        blend: how the mouth is put into the picture.
        mel_offset_ms: shifts the sound under the picture; positive makes the lips later.
        segment_seconds: how the work is cut.
        crf, preset: as in x264 and x265.
        language: tag of the dubbed track.
        keep_audio: whether the film's own tracks follow the dubbed one.
        fps: of a still picture.
        keep_original: parts of the film, [start, end] in seconds, whose picture stays as it is
            under the dialogue.
    """

    model_config = ConfigDict(extra="forbid")

    sync_mode: SyncMode = "silence"
    temperature: float | None = Field(None, ge=0, le=1)
    active_speaker_detection: ActiveSpeaker | None = None
    occlusion_detection_enabled: bool | None = None
    model_mode: Literal["lips", "face", "head"] | None = None
    prompt: str | None = Field(None, max_length=100)

    faces: FaceChoice = "largest"
    box: tuple[_Pixel, _Pixel, _Pixel, _Pixel] | None = None
    pads: tuple[_Pad, _Pad, _Pad, _Pad] | None = None
    blend: Blend = "feather"
    mel_offset_ms: float = Field(0.0, ge=-10_000, le=10_000, allow_inf_nan=False)
    segment_seconds: float = Field(10.0, ge=0.2, le=600, allow_inf_nan=False)
    crf: float | None = Field(None, ge=0, le=51, allow_inf_nan=False)
    preset: Preset | None = None
    language: Language | None = None
    keep_audio: KeepAudio = "all"
    fps: str = Field("25", max_length=21)
    keep_original: list[_Range] = Field(default_factory=list, max_length=MAX_SEGMENTS)

    @field_validator("fps", mode="before")
    @classmethod
    def _is_a_rate(cls, value: object) -> object:
        text = str(value)
        try:
            rate = Fraction(text if _RATE.fullmatch(text) else 0)
        except ZeroDivisionError:
            rate = Fraction(0)
        if not 1 <= rate <= _MAX_FPS:
            raise ValueError("it is a frame rate between 1 and 1000, such as 25 or 24000/1001")
        if max(rate.as_integer_ratio()) > _LARGEST_INTEGER:
            raise ValueError("it has too many digits; give it as a fraction, such as 30000/1001")
        return str(rate)

    @field_validator("box")
    @classmethod
    def _has_pixels(cls, box: tuple[int, int, int, int] | None) -> object:
        if box is not None and not (box[0] < box[2] and box[1] < box[3]):
            raise ValueError("it is [x1, y1, x2, y2] with x1 < x2 and y1 < y2")
        return box

    @field_validator("keep_original")
    @classmethod
    def _ranges_are_apart(cls, ranges: list[list[float]]) -> list[list[float]]:
        if any(start >= end for start, end in ranges):
            raise ValueError("each is [start, end] in seconds, start before end")
        ordered = sorted(ranges)
        if any(after[0] < before[1] for before, after in pairwise(ordered)):
            raise ValueError("two of them overlap")
        return ordered

    def warnings(self) -> list[str]:
        """What was asked for and has no effect here, one line each."""
        foreign = ("temperature", "occlusion_detection_enabled", "model_mode", "prompt")
        return [
            f"options.{name} has no effect with this farm's networks"
            for name in foreign
            if getattr(self, name) is not None
        ]

    def dub_options(self) -> dict[str, Any]:
        """The fields of ``DubOptions`` as JSON, but for those that are not among the options."""
        names = (
            "sync_mode",
            "faces",
            "pads",
            "blend",
            "mel_offset_ms",
            "segment_seconds",
            "crf",
            "preset",
            "language",
            "keep_audio",
            "fps",
        )
        values = self.model_dump(mode="json", include=set(names))
        values["box"] = None
        if self.box is not None:
            values["box"] = dict(zip(("x1", "y1", "x2", "y2"), self.box, strict=True))
        values["keep_original"] = [
            {"start": exact(start), "end": exact(end)} for start, end in self.keep_original
        ]
        speaker = self.active_speaker_detection
        values["chosen"] = [] if speaker is None else speaker.points()
        return values
