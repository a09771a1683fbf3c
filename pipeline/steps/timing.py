"""Which frame is shown when, in a job with its options."""

from pipeline.options import DubOptions
from pipeline.prepare import Dialogue, Source
from pipeline.timeline import Timeline, build_timeline


def choose_timeline(source: Source, dialogue: Dialogue, options: DubOptions) -> Timeline:
    """The output's frames; as settled as ``source.plan`` is."""
    # One picture can only be held; "the shorter of both" would be a single frame.
    mode = "loop" if source.manifest.is_still else options.sync_mode
    # Under a timeline the film keeps its length, also where it lost frames in decoding.
    seconds = source.plan.duration if options.timeline else dialogue.duration
    return build_timeline(source.plan, seconds, mode)
