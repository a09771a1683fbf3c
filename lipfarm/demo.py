"""``make demo``: dub a short film that it builds itself, and show what changed.

Everything comes with the installation: the portrait of Eileen Collins (NASA, public domain) and a
cup of coffee (Rachel Michetti, CC0) from scikit-image's wheel, and the speech beside this file.
The film has two shots, one with a face and one without, and a sound track of its own, so the demo
walks the same way through the program as a real film does.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from lipfarm.cli import main as lipfarm
from pipeline.errors import ToolUnfitError
from pipeline.media.ffmpeg_program import check_ffmpeg

Picture = npt.NDArray[np.uint8]
Sound = npt.NDArray[np.float32]

OUT = Path("out")

WIDTH, HEIGHT = 1280, 720
FRAME_RATE = Fraction(25)
SAMPLE_RATE = 48_000

#: A quiet chord (A minor, in hertz) under the film, so that its own track has something to keep.
CHORD = (110.0, 164.8, 220.0, 261.6)
CHORD_LEVEL = 0.012

#: Pixels of the astronaut picture: the middle of her mouth, and what the contact sheet enlarges
#: around it, wide and high; lower than centred, because a chin drops.
MOUTH = (223.0, 154.0)
MOUTH_SPAN = (64.0, 48.0)

#: Frames shown: before the first word, vowels of the first sentence, the pause, a vowel of the
#: second sentence, and the shot without a face. In seconds, with what the recording has there.
MOMENTS = (
    (0.16, "silence"),
    (0.92, "speech"),
    (1.36, "speech"),
    (2.36, "speech"),
    (3.80, "silence"),
    (5.12, "speech"),
    (7.00, "no face"),
)

CELL_WIDTH = 320
FRAME_CELL = (CELL_WIDTH, CELL_WIDTH * HEIGHT // WIDTH)
MOUTH_CELL = (CELL_WIDTH, round(CELL_WIDTH * MOUTH_SPAN[1] / MOUTH_SPAN[0]))
LABEL_HEIGHT = 34


@dataclass(frozen=True, slots=True)
class Shot:
    """A slow move of the camera over a still picture, from one centre and zoom to another.

    ``zoom`` is output pixels per picture pixel; centres are in picture pixels.
    """

    picture: str
    frames: int
    centres: tuple[tuple[float, float], tuple[float, float]]
    zooms: tuple[float, float]

    def transform(self, frame: int) -> npt.NDArray[np.float64]:
        """The (2, 3) matrix from picture to output pixels for a frame of this shot."""
        along = frame / (self.frames - 1)
        zoom = self.zooms[0] ** (1 - along) * self.zooms[1] ** along
        (x0, y0), (x1, y1) = self.centres
        x, y = x0 + along * (x1 - x0), y0 + along * (y1 - y0)
        return np.array([[zoom, 0, WIDTH / 2 - zoom * x], [0, zoom, HEIGHT / 2 - zoom * y]])

    def render(self) -> Iterator[Picture]:
        """The shot's frames, (HEIGHT, WIDTH, 3) BGR."""
        picture = _wheel_picture(self.picture)
        for frame in range(self.frames):
            # Sub-pixel steps: ffmpeg's zoompan rounds to whole pixels, and the face would shake.
            yield np.asarray(
                cv2.warpAffine(
                    picture,
                    self.transform(frame),
                    (WIDTH, HEIGHT),
                    flags=cv2.INTER_CUBIC,
                    borderMode=cv2.BORDER_REFLECT,
                ),
                dtype=np.uint8,
            )


PORTRAIT = Shot("astronaut.png", 165, ((250.0, 155.0), (236.0, 148.0)), (2.6, 3.0))
COFFEE = Shot("coffee.png", 50, ((300.0, 205.0), (310.0, 200.0)), (2.2, 2.3))
SHOTS = (PORTRAIT, COFFEE)


def main() -> None:
    """Build the film, dub it, draw the contact sheet, and say where they are."""
    try:
        check_ffmpeg()
    except ToolUnfitError as error:
        sys.stderr.write(f"lipfarm: {error}\n")
        raise SystemExit(error.exit_status) from None
    OUT.mkdir(exist_ok=True)
    source, output = OUT / "demo_source.mp4", OUT / "demo.mp4"
    report, sheet = OUT / "demo.json", OUT / "demo.png"
    build_film(source)
    with resources.as_file(resources.files("lipfarm") / "assets" / "speech.flac") as speech:
        paths = {"video": source, "audio": speech, "output": output, "report": report}
        _run("dub", *(f"--{name}={path}" for name, path in paths.items()), "--language=eng")
    network = json.loads(report.read_text())["network"]["name"]
    draw_sheet(source, output, network, sheet)
    sys.stdout.write(
        f"the film      {source}\nits dub       {output}\nbefore/after  {sheet}\n"
        f"the report    {report}\n"
    )


def build_film(path: Path) -> None:
    """Write the two-shot film: H.264 and a quiet stereo track."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FRAME_RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"crf": "16", "preset": "veryfast"}
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        for shot in SHOTS:
            for picture in shot.render():
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                container.mux(video.encode(frame))
        container.mux(video.encode())
        for block in _music(sum(shot.frames for shot in SHOTS) / FRAME_RATE):
            container.mux(audio.encode(block))
        container.mux(audio.encode())


def draw_sheet(source: Path, dubbed: Path, network: str, path: Path) -> None:
    """Draw the chosen moments of both films one above the other, and the mouths enlarged."""
    indices = [round(seconds * FRAME_RATE) for seconds, _ in MOMENTS]
    before, after = _frames_at(source, indices), _frames_at(dubbed, indices)
    labels = [f"{seconds:.2f} s  {what}" for seconds, what in MOMENTS]
    rows = [
        _row(labels, [_shrink(before[index]) for index in indices], "source"),
        _row([""] * len(indices), [_shrink(after[index]) for index in indices], f"dub: {network}"),
        _row([""] * len(indices), [_mouth(before[index], index) for index in indices], "source"),
        _row([""] * len(indices), [_mouth(after[index], index) for index in indices], "dub"),
    ]
    cv2.imwrite(str(path), cv2.vconcat(rows))


def _run(*arguments: str) -> None:
    try:
        lipfarm(list(arguments))
    except SystemExit as end:
        if end.code:
            raise


def _wheel_picture(name: str) -> Picture:
    # The file itself: skimage.data.astronaut() would need pooch, and could go to the network.
    with resources.as_file(resources.files("skimage") / "data" / name) as path:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"scikit-image's wheel has no picture {name}; run: make install")
    return np.asarray(picture, dtype=np.uint8)


def _music(seconds: Fraction) -> Iterator[av.AudioFrame]:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    # Each voice swells at its own pace, and the left ear hears them in another order.
    swells = [1 + np.sin(2 * np.pi * 0.11 * (i + 1) * time) for i in range(len(CHORD))]
    tones = [np.sin(2 * np.pi * pitch * time) for pitch in CHORD]
    left = sum(tone * swell for tone, swell in zip(tones, swells, strict=True))
    right = sum(tone * swell for tone, swell in zip(tones, reversed(swells), strict=True))
    sound = (CHORD_LEVEL * np.stack([left, right])).astype(np.float32)  # (2, n)
    block = 1024
    for start in range(0, sound.shape[1], block):
        piece = np.ascontiguousarray(sound[:, start : start + block])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        frame.time_base = Fraction(1, SAMPLE_RATE)
        yield frame


def _frames_at(path: Path, indices: Sequence[int]) -> dict[int, Picture]:
    wanted, found = set(indices), {}
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                found[index] = np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
    return found


def _shrink(frame: Picture) -> Picture:
    return np.asarray(cv2.resize(frame, FRAME_CELL, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _mouth(frame: Picture, index: int) -> Picture:
    """The mouth, as large as a cell; black in the shot without a face."""
    if index >= PORTRAIT.frames:
        return np.zeros((*reversed(MOUTH_CELL), 3), np.uint8)
    transform = PORTRAIT.transform(index)
    x, y = transform @ (*MOUTH, 1.0)
    across, down = transform[0, 0] * np.array(MOUTH_SPAN) / 2
    crop = frame[round(y - down) : round(y + down), round(x - across) : round(x + across)]
    return np.asarray(cv2.resize(crop, MOUTH_CELL, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _row(labels: Sequence[str], cells: Sequence[Picture], title: str) -> Picture:
    labelled = []
    for label, cell in zip(labels, cells, strict=True):
        head = np.zeros((LABEL_HEIGHT if label else 0, CELL_WIDTH, 3), np.uint8)
        if label:
            _write(head, label, 24)
        labelled.append(np.vstack([head, cell]))
    row = np.hstack(labelled)
    _write(row, title, row.shape[0] - 10)
    return row


def _write(picture: Picture, words: str, baseline: int) -> None:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.6
    (width, height), _ = cv2.getTextSize(words, font, scale, 1)
    picture[baseline - height - 6 : baseline + 8, : width + 16] = 0
    cv2.putText(picture, words, (8, baseline), font, scale, (255, 255, 255), 1, cv2.LINE_AA)


if __name__ == "__main__":
    main()
