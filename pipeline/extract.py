"""Frames and faces of a film as pictures: the original project's preprocessing, as one function."""

import csv
from fractions import Fraction
from pathlib import Path

import cv2

from pipeline.artifacts import Store
from pipeline.composite import read_crop
from pipeline.detect import detect_source
from pipeline.errors import OutputError
from pipeline.faces.tracks import Tracks, track_faces
from pipeline.media.frames import read_frames
from pipeline.media.opening import one_line
from pipeline.media.pictures import write_picture
from pipeline.options import DetectorChoice
from pipeline.prepare import prepare_source
from pipeline.running.progress import Progress, Silent

#: Cutting is only for the detector here; its length is of no account.
_SEGMENT_SECONDS = 10.0

FACES_FOLDER = "faces"
BOXES_FILE = "boxes.csv"


def extract_frames(
    path: Path,
    folder: Path,
    fps: Fraction,
    detector: DetectorChoice | None,
    store: Store,
    progress: Progress,
) -> int:
    """Write every frame of a film as ``000000.png`` and so on, upright.

    With a detector also ``faces/000000-0.png``, the crop of each face as a network is shown it,
    and ``boxes.csv``: frame, face, x1, y1, x2, y2 in pixels, and whether it is doubtful.

    Args:
        path: a film, a still image or a folder of frames.
        folder: existing and empty, or to be made.
        fps: frame rate of pictures.
        detector: what finds faces; None leaves them out.
        store: where artifacts go.
        progress: is told how far it is.

    Returns:
        How many frames were written.

    Raises:
        InputError: the film cannot be read.
        OutputError: the folder is not empty or cannot be written.
    """
    _make_empty_folder(folder)
    source = prepare_source(path, fps, _SEGMENT_SECONDS, store, Silent().advance)
    progress.start_stage("detect", len(source.plan))
    source, found = detect_source(source, detector, store, 1, progress.advance)
    progress.finish_stage()
    tracks = track_faces(found, frame_rate=source.plan.frame_rate, choice="all")
    progress.start_stage("write", len(source.plan))
    frames = read_frames(source.objects, source.plan, source.segments, range(len(source.plan)))
    for number, frame in enumerate(frames):
        crops = [
            read_crop(frame, face.box, source.video.color, source.video.rotation)
            for face in tracks.faces_at(number)
        ]
        write_picture(frame, folder / f"{number:06d}.png", source.video.rotation)
        for face, crop in enumerate(crops):
            (folder / FACES_FOLDER).mkdir(exist_ok=True)
            _, png = cv2.imencode(".png", crop)
            (folder / FACES_FOLDER / f"{number:06d}-{face}.png").write_bytes(png.tobytes())
        progress.advance(1)
    if detector is not None:
        _write_boxes(tracks, folder / BOXES_FILE)
    progress.finish_stage()
    return len(source.plan)


def _make_empty_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{one_line(folder)}: is not empty; name a new folder")
    except OSError as error:
        raise OutputError(f"{one_line(folder)}: cannot be made: {error.strerror}") from error


def _write_boxes(tracks: Tracks, path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["frame", "face", "x1", "y1", "x2", "y2", "doubtful"])
        for frame in range(tracks.frame_count):
            for number, face in enumerate(tracks.faces_at(frame)):
                box = face.box
                rows.writerow([frame, number, box.x1, box.y1, box.x2, box.y2, int(face.doubtful)])
