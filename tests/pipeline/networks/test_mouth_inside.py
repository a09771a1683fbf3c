"""The inside of a mouth is lit as its face is, and shows teeth only where the source hides them."""

import numpy as np
import numpy.typing as npt

from pipeline.networks.lip_line import Tones
from pipeline.networks.mouth_inside import colour_inside, grain_like

UNIT = 100.0


def paint(light: float, teeth_shown: float = 1.0, gap: float = 25.0) -> npt.NDArray[np.float32]:
    """(40, 81, 3) of a mouth 80 wide whose gap begins at row 5."""
    skin, lip, dark = (
        np.array(c, np.float32) * light for c in ((120, 140, 180), (90, 85, 160), (15, 16, 32))
    )
    y, x = np.mgrid[0:40, 0:81].astype(np.float32)
    u = x / 40 - 1
    edges = np.full_like(u, 5.0), 5 + gap * (1 - u * u)
    return colour_inside((u, y), edges, UNIT, Tones(skin, lip, dark, teeth_shown))


def test_it_is_darker_than_the_lips_and_darkest_at_the_top() -> None:
    column = paint(1.0)[6:29, 40].mean(axis=1)

    assert column.max() < 85
    assert column[:5].mean() < 0.5 * column[10:].mean()


def test_it_is_lit_as_the_face_is() -> None:
    np.testing.assert_allclose(paint(0.5), 0.5 * paint(1.0), rtol=1e-4, atol=1e-3)


def test_teeth_are_painted_only_where_the_source_shows_none() -> None:
    hidden, shown = paint(1.0, teeth_shown=0.0), paint(1.0, teeth_shown=1.0)

    assert hidden[9, 40].mean() > 80 > 2 * shown[9, 40].mean()
    # Off-white, not red, and not the whole gap.
    assert np.ptp(hidden[9, 40]) < 0.4 * hidden[9, 40].mean()
    np.testing.assert_allclose(hidden[20:, 40], shown[20:, 40], atol=1e-3)


def test_a_narrow_gap_shows_no_teeth() -> None:
    np.testing.assert_allclose(paint(1.0, 0.0, gap=3.0), paint(1.0, 1.0, gap=3.0), atol=1e-3)


def test_grain_is_as_strong_as_the_sources_and_repeats() -> None:
    noise = np.random.default_rng(0).normal(128, 3, (60, 60, 1))
    noisy = np.repeat(noise, 3, axis=2).clip(0, 255).astype(np.uint8)

    grain = grain_like(noisy, (60, 60))

    assert 1.5 < grain.std() < 6
    np.testing.assert_array_equal(grain, grain_like(noisy, (60, 60)))
    assert not grain_like(np.full((60, 60, 3), 128, np.uint8), (60, 60)).any()
