"""A tracked job read back: the source in its true numbering, who is dubbed, what is shown when."""

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.artifacts import Read, Store
from pipeline.faces.tracks import Tracks
from pipeline.media.plan import Segment, SourcePlan
from pipeline.prepare import MANIFEST_FILE, PLAN_FILE, SOUND_FACTS_FILE, Dialogue, Source
from pipeline.render import RenderTask
from pipeline.steps.facts import Prepared
from pipeline.steps.timing import choose_timeline

#: The files of the track stage's artifact: faces, and the source's true numbering.
TRACKS_FILE, SEGMENTS_FILE = "tracks.npz", "segments.json"
TRACKS_FILES = (TRACKS_FILE, SEGMENTS_FILE, PLAN_FILE)

_SEGMENTS: TypeAdapter[tuple[Segment, ...]] = TypeAdapter(tuple[Segment, ...])


def save_tracks(tracks: Tracks, source: Source, folder: Path) -> None:
    """Write TRACKS_FILES: who is dubbed where in the settled source."""
    tracks.save(folder / TRACKS_FILE)
    source.plan.save(folder / PLAN_FILE)
    (folder / SEGMENTS_FILE).write_bytes(_SEGMENTS.dump_json(source.segments))


def layout_reads(prepared: Prepared, tracks_key: str) -> tuple[Read, ...]:
    """What :func:`load_layout` reads."""
    return (
        Read(prepared.source_key, (MANIFEST_FILE, PLAN_FILE)),
        Read(prepared.sound_key, (SOUND_FACTS_FILE,)),
        Read(tracks_key, TRACKS_FILES),
    )


def load_layout(
    prepared: Prepared, tracks_key: str, store: Store, path: Path | None = None
) -> RenderTask:
    """Read a tracked job back; ``path`` is the source's on this machine.

    Raises:
        MissingArtifactsError: something of ``layout_reads`` is not in the store.
    """
    store.require(*layout_reads(prepared, tracks_key))
    source = Source.load(store.path(prepared.source_key), path or Path(prepared.source_name))
    folder = store.path(tracks_key)
    segments = _SEGMENTS.validate_json((folder / SEGMENTS_FILE).read_bytes())
    source = replace(source, plan=SourcePlan.load(folder / PLAN_FILE), segments=segments)
    dialogue = Dialogue.load(store.path(prepared.sound_key))
    timeline = choose_timeline(source, dialogue, prepared.options)
    tracks = Tracks.load(folder / TRACKS_FILE)
    return RenderTask(source, dialogue, tracks, timeline, prepared.options)
