from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.composite import box_patch, feather_mask, paste_mouth, read_crop
from pipeline.geometry import Box
from pipeline.media.info import ColorTags
from pipeline.media.planes import plane_arrays
from pipeline.networks.inference import Wav2LipNetwork

# The face of portrait_25fps.mp4's first frame, as YuNet finds it, padded by 6 % at the bottom.
BOX = Box(217, 159, 336, 318)
LANDMARKS = np.float32([[245, 214], [299, 215], [267, 244], [247, 265], [293, 268]]) - [217, 159]
TAGS = ColorTags()


@pytest.fixture
def portrait(clips: Path) -> av.VideoFrame:
    with av.open(str(clips / "portrait_25fps.mp4")) as container:
        return next(container.decode(video=0))


def in_format(frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    return frame.reformat(format=pix_fmt) if pix_fmt != frame.format.name else frame


def mouth_for(crop: np.ndarray, cast: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    """What a network would return: the face at 96×96, a dark open mouth, a colour cast below."""
    mouth = cv2.resize(crop, (96, 96), interpolation=cv2.INTER_AREA).astype(int)
    mouth[48:] += cast
    mouth[60:72, 36:60] = (30, 20, 60)
    return mouth.clip(0, 255).astype(np.uint8)


def bilinear(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """OpenCV's 8-bit bilinear resize, written out: weights in 1/2048, pixel centres at .5."""

    def taps(length: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = ((np.arange(wanted) + 0.5) * (length / wanted) - 0.5).astype(np.float32)
        low = np.floor(at).astype(int)
        share = (at - low).astype(np.float32)
        share[(low < 0) | (low >= length - 1)] = 0
        low = low.clip(0, length - 1)
        weight = np.rint(share * np.float32(2048)).astype(np.int64)
        return low, (low + 1).clip(0, length - 1), weight

    x0, x1, wx = taps(picture.shape[1], width)
    y0, y1, wy = taps(picture.shape[0], height)
    p = picture.astype(np.int64)
    across = p[:, x0] * (2048 - wx)[None, :, None] + p[:, x1] * wx[None, :, None]
    down = across[y0] * (2048 - wy)[:, None, None] + across[y1] * wy[:, None, None]
    return ((down + (1 << 21)) >> 22).astype(np.uint8)


@pytest.mark.parametrize("size", [(119, 159), (96, 96), (274, 397), (61, 83)])
def test_box_patch_is_the_original_resize(size: tuple[int, int]) -> None:
    mouth = np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    patch = box_patch(mouth, Box(11, 7, 11 + size[0], 7 + size[1]))
    assert patch.shape == (size[1], size[0], 3)
    assert (patch == cv2.resize(mouth, size)).all()
    # The definition, in integers; OpenCV rounds its vertical pass in steps, hence the one level.
    assert np.abs(patch.astype(int) - bilinear(mouth, *size)).max() <= 1


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
@pytest.mark.parametrize("blend", ["feather", "box"])
@pytest.mark.parametrize("box", [BOX, Box(218, 160, 336, 318)])
def test_outside_the_box_every_sample_stays(
    portrait: av.VideoFrame, pix_fmt: str, blend: str, box: Box
) -> None:
    frame = in_format(portrait, pix_fmt)
    before = [plane.copy() for plane in plane_arrays(frame)]
    crop = read_crop(frame, box, TAGS)
    paste_mouth(frame, box, crop, mouth_for(crop), LANDMARKS, TAGS, blend=blend)
    for plane, old in zip(plane_arrays(frame), before, strict=True):
        down, across = frame.height // plane.shape[0], frame.width // plane.shape[1]
        changed = np.argwhere(plane != old)
        assert len(changed)
        assert changed[:, 0].min() * down >= box.y1
        assert changed[:, 1].min() * across >= box.x1
        assert (changed[:, 0].max() + 1) * down <= box.y2
        assert (changed[:, 1].max() + 1) * across <= box.x2


def test_where_the_mask_is_zero_the_source_stays(portrait: av.VideoFrame) -> None:
    luma = plane_arrays(portrait)[0]
    before = luma.copy()
    crop = read_crop(portrait, BOX, TAGS)
    paste_mouth(portrait, BOX, crop, mouth_for(crop), LANDMARKS, TAGS)
    mask = feather_mask(BOX.width, BOX.height, LANDMARKS)
    inside = slice(BOX.y1, BOX.y2), slice(BOX.x1, BOX.x2)
    changed = luma[inside] != before[inside]
    assert changed.any()
    assert not changed[mask == 0].any()


def test_a_mouth_that_is_the_crop_changes_nothing(portrait: av.VideoFrame) -> None:
    before = [plane.copy() for plane in plane_arrays(portrait)]
    crop = read_crop(portrait, BOX, TAGS)
    paste_mouth(portrait, BOX, crop, crop.copy(), LANDMARKS, TAGS, match_color=False)
    assert all((a == b).all() for a, b in zip(plane_arrays(portrait), before, strict=True))


@pytest.mark.parametrize("cast", [(0, 0, 0), (14, -4, -10), (-12, 0, 12)])
def test_a_colour_cast_does_not_reach_the_cheeks(
    portrait: av.VideoFrame, cast: tuple[int, int, int]
) -> None:
    crop = read_crop(portrait, BOX, TAGS)
    paste_mouth(portrait, BOX, crop, mouth_for(crop, cast), LANDMARKS, TAGS)
    after = read_crop(portrait, BOX, TAGS).astype(int)
    mask = feather_mask(BOX.width, BOX.height, LANDMARKS)
    ring = (mask > 0.05) & (mask < 0.7)
    error = np.abs((after - crop)[ring].mean(axis=0))
    assert error.max() < 1.5


@pytest.mark.parametrize("cast", [(0, 0, 0), (14, -6, -12), (-12, 8, 10)])
def test_a_trained_networks_mouth_has_the_films_colours_and_no_edge(
    portrait: av.VideoFrame, models: Path, cast: tuple[int, int, int]
) -> None:
    crop = read_crop(portrait, BOX, TAGS)
    network = Wav2LipNetwork(models / "wav2lip_nano.pth", device="cpu", precision="fp32-folded")
    silence = np.full((80, 16), -4, np.float32)
    mouth = network.speak([crop], [LANDMARKS], [silence])[0]
    mouth = (mouth + np.array(cast)).clip(0, 255).astype(np.uint8)
    paste_mouth(portrait, BOX, crop, mouth, LANDMARKS, TAGS)
    change = read_crop(portrait, BOX, TAGS).astype(np.float32) - crop
    lower = BOX.height // 2
    assert np.abs(change[lower:].mean(axis=(0, 1))).mean() <= 1
    # Away from the lips no line of the change begins with a step, as a rectangle's would.
    mask = feather_mask(BOX.width, BOX.height, LANDMARKS)
    border = (mask > 0) & (mask < 0.3)
    smooth = cv2.GaussianBlur(change, (0, 0), 1.5)
    for axis in (0, 1):
        step = np.abs(np.diff(smooth, axis=axis, append=0)).max(axis=2)
        assert np.percentile(step[border], 99) < 2


def test_the_new_mouth_is_there(portrait: av.VideoFrame) -> None:
    crop = read_crop(portrait, BOX, TAGS)
    paste_mouth(portrait, BOX, crop, mouth_for(crop, (10, -4, -8)), LANDMARKS, TAGS)
    after = read_crop(portrait, BOX, TAGS)
    middle = after[int(66 / 96 * BOX.height), int(48 / 96 * BOX.width)].astype(int)
    assert np.abs(middle - [30, 20, 60]).max() < 35


def test_a_crop_of_the_networks_own_size_has_its_cast_taken_out_too() -> None:
    crop = np.full((96, 96, 3), (120, 140, 180), np.uint8)
    frame = av.VideoFrame.from_ndarray(np.full((128, 128, 3), crop[0, 0], np.uint8), "bgr24")
    frame = frame.reformat(format="yuv444p", dst_colorspace="ITU601")
    box = Box(16, 16, 112, 112)
    crop = read_crop(frame, box, TAGS)
    marks = np.float32([[30, 38], [66, 38], [48, 54], [34, 68], [62, 68]])
    paste_mouth(frame, box, crop, (crop + np.uint8(12)).clip(0, 255), marks, TAGS)
    after = read_crop(frame, box, TAGS).astype(int)
    assert np.abs(after - crop).max() <= 2


@pytest.mark.parametrize("size", [(119, 159), (16, 16), (3, 5), (400, 300), (1, 1)])
def test_the_mask_is_zero_on_the_border(size: tuple[int, int]) -> None:
    width, height = size
    marks = (LANDMARKS / [BOX.width, BOX.height] * [width, height]).astype(np.float32)
    mask = feather_mask(width, height, marks)
    assert mask.shape == (height, width)
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1
    for line in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert not line.any()


def test_the_mask_covers_lips_and_chin_but_neither_nose_nor_eyes() -> None:
    mask = feather_mask(BOX.width, BOX.height, LANDMARKS)
    for x, y in LANDMARKS[3:]:
        assert mask[round(float(y)), round(float(x))] > 0.95
    assert mask[int(0.88 * BOX.height), int(LANDMARKS[3:, 0].mean())] > 0.9
    for x, y in LANDMARKS[:3]:
        assert mask[round(float(y)), round(float(x))] < 0.05


@pytest.mark.parametrize(
    "marks",
    [
        np.zeros((5, 2)),
        np.full((5, 2), 40.0),
        LANDMARKS[::-1],
        LANDMARKS * 20,
        LANDMARKS - 500,
    ],
)
def test_senseless_landmarks_are_survived(portrait: av.VideoFrame, marks: np.ndarray) -> None:
    crop = read_crop(portrait, BOX, TAGS)
    paste_mouth(portrait, BOX, crop, mouth_for(crop), marks.astype(np.float32), TAGS)
    assert np.isfinite(feather_mask(BOX.width, BOX.height, marks.astype(np.float32))).all()


def test_noise_in_the_source_is_not_amplified(portrait: av.VideoFrame) -> None:
    """The same mouth over two noisy takes of one picture differs no more than the takes do."""
    takes = []
    for seed in (1, 2):
        frame = in_format(portrait, "yuv444p")
        luma = plane_arrays(frame)[0]
        noise = np.random.default_rng(seed).normal(0, 3, luma.shape)
        luma[:] = (luma + noise).clip(0, 255).astype(np.uint8)
        crop = read_crop(frame, BOX, TAGS)
        mouth = mouth_for(crop)
        paste_mouth(frame, BOX, crop, mouth, LANDMARKS, TAGS)
        takes.append((crop.astype(float), read_crop(frame, BOX, TAGS).astype(float)))
    (crop_1, after_1), (crop_2, after_2) = takes
    solid = feather_mask(BOX.width, BOX.height, LANDMARKS) > 0.95
    assert (after_1 - after_2)[solid].std() <= 1.05 * (crop_1 - crop_2)[solid].std()
