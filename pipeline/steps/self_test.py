"""A dub of one second of a drawn face: proof that decoding, network and encoding work here."""

import wave
from pathlib import Path

import cv2
import numpy as np

from pipeline.artifacts import Store
from pipeline.errors import InternalError
from pipeline.geometry import Box
from pipeline.options import DetectorChoice, DubOptions, NetworkChoice
from pipeline.running.processes import Advance
from pipeline.steps.detecting import detect
from pipeline.steps.preparing import Inputs, prepare
from pipeline.steps.rendering import render
from pipeline.steps.stitching import stitch
from pipeline.steps.tracking import track

_SIDE = 192
_FACE = Box(48, 32, 144, 160)
_RATE, _SECONDS = 16_000, 1
_FRAMES = 25 * _SECONDS


def self_test(network: NetworkChoice, store: Store, advance: Advance) -> None:
    """Dub a second of a drawn face, through all stages; takes seconds, and needs no download.

    Args:
        network: what this machine renders with; it stays loaded.
        store: everything is written into a folder of its own there, which is removed.
        advance: told of finished frames.

    Raises:
        PipelineError, or what the device's driver raises: this machine is not well.
    """
    with store.temporary() as folder, Store(folder) as own:
        picture, sound = folder / "face.png", folder / "tone.wav"
        _draw_face(picture)
        _write_tone(sound)
        options, detector = DubOptions(box=_FACE), DetectorChoice()
        inputs = Inputs(picture, sound, "test.mp4", options, network, detector)
        prepared, _ = prepare(inputs, own, advance)
        detect(prepared, 0, detector, own, advance)
        tracked, steps = track(prepared, detector, own, advance)
        keys = {
            step.segment_index: render(prepared, tracked, step, network, own, advance).artifact_key
            for step in steps
        }
        output = folder / prepared.output_name
        report = stitch(prepared, tracked, keys, picture, sound, output, own, advance)
        if report["frames"]["dubbed"] != _FRAMES:
            raise InternalError(f"the self-test made {report['frames']} of {_FRAMES} frames")


def _draw_face(path: Path) -> None:
    picture = np.full((_SIDE, _SIDE, 3), (96, 80, 64), np.uint8)
    centre = ((_FACE.x1 + _FACE.x2) // 2, (_FACE.y1 + _FACE.y2) // 2)
    cv2.ellipse(picture, centre, (44, 60), 0, 0, 360, (150, 170, 220), -1)
    for x in (centre[0] - 18, centre[0] + 18):
        cv2.circle(picture, (x, centre[1] - 14), 5, (60, 50, 40), -1)
    cv2.ellipse(picture, (centre[0], centre[1] + 30), (16, 5), 0, 0, 360, (90, 80, 190), -1)
    cv2.imwrite(str(path), picture)


def _write_tone(path: Path) -> None:
    """A hum with the pitch and the loudness of a voice."""
    times = np.arange(_RATE * _SECONDS) / _RATE
    samples = 0.3 * np.sin(2 * np.pi * 140 * times) * (1 + np.sin(2 * np.pi * 4 * times)) / 2
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
