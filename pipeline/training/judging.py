"""Any checkpoint of the family on the people held out of a prepared folder."""

from pathlib import Path

from pipeline.errors import UnusableMediaError
from pipeline.networks.wav2lip import load_checkpoint
from pipeline.output.publish import check_output
from pipeline.training.clips import Clip
from pipeline.training.measuring import Measures, draw_rows, measure, network_of
from pipeline.training.mouths import MouthShapes
from pipeline.training.sheet import write_sheet


def judge(checkpoint: Path, folder: Path, picture: Path | None = None) -> Measures:
    """Measure a checkpoint, and show what it draws.

    Args:
        checkpoint: of any width.
        folder: prepared clips.
        picture: gets a sheet of faces, as a PNG.

    Raises:
        CheckpointError: the weights cannot be used.
        UnusableMediaError: nothing is prepared, or nobody held out.
        OutputError: the picture cannot be written there.
    """
    if picture is not None:
        check_output(picture, [checkpoint], what="picture")
    network = network_of(load_checkpoint(checkpoint))
    clips = Clip.all_in(folder)
    held_out = [clip for clip in clips if clip.facts.held_out]
    shapes = MouthShapes.of([clip for clip in clips if not clip.facts.held_out])
    if not held_out:
        raise UnusableMediaError(f"{folder}: nobody is held out")
    if picture is not None:
        write_sheet(draw_rows(network, held_out, shapes), picture)
    return measure(network, held_out, shapes)
