"""The page that goes with a checkpoint: from what, how long, how good, for what use."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.artifacts import sha256_of
from pipeline.training.clips import Clip
from pipeline.training.measuring import Measures

_CARD = """# {name}

A network of the Wav2Lip family, trained with `lipfarm train run`.

| | |
|---|---|
| file | `{name}`, {size:.1f} MB |
| sha256 | `{digest}` |
| width | {width} (the published networks have 16) |
| trained on | {clips} clips, {frames} frames, {people} people |
| held out | {held_out} |
| samples seen | {samples} in {minutes:.0f} minutes, seed {seed} |

On people held out:

| | |
|---|---|
| mouth error, right sound | {right:.2f} levels of 255 |
| mouth error, wrong sound | {wrong:.2f} ({sound_matters:+.1%}) |
| correlation of mouth opening | {shape:.2f} |
| how far mouths open over the film's | {reach:.2f} |
| sharpness of the mouth over the film's | {sharpness:.2f} |
| colour error | {colour:.1f} levels |
| motion in speech over silence | {motion} |

## Use

For {licence}.

A network may be used as the clips allow that it was trained on, and as the people in them do. Draw
nobody's mouth without their consent, and say of a dub that it is one.
"""

#: Of the files of a card, beside the checkpoint: for people, and for programs.
CARD_SUFFIXES: Final = (".md", ".json")

#: Whoever trained it knows better.
UNKNOWN_LICENCE: Final = "whatever the clips it was trained on allow"


def write_card(
    checkpoint: Path,
    clips: Sequence[Clip],
    held_out: Sequence[Clip],
    facts: Mapping[str, Any],
    measures: Measures,
    licence: str = UNKNOWN_LICENCE,
) -> None:
    """Write ``NAME.md`` and ``NAME.json`` beside a checkpoint.

    Args:
        checkpoint: as written.
        clips, held_out: it trained on, and was judged on.
        facts: of the run: ``width``, ``seed``, ``samples``, ``seconds``.
        measures: on those held out.
        licence: what it may be used for.
    """
    digest = sha256_of(checkpoint)
    motion = "not measured" if measures.motion is None else f"{measures.motion:.1f}"
    text = _CARD.format(
        name=checkpoint.name,
        size=checkpoint.stat().st_size / 1e6,
        digest=digest,
        width=facts["width"],
        clips=len(clips),
        frames=sum(map(len, clips)),
        people=len({clip.facts.person for clip in clips}),
        held_out=", ".join(clip.facts.name for clip in held_out),
        samples=facts["samples"],
        minutes=facts["seconds"] / 60,
        seed=facts["seed"],
        licence=licence,
        **{**measures.as_json(), "motion": motion},
    )
    checkpoint.with_suffix(".md").write_text(text)
    data = {
        "sha256": digest,
        "size": checkpoint.stat().st_size,
        "licence": licence,
        "run": dict(facts),
        "clips": [clip.facts.digest for clip in clips],
        "held_out": [clip.facts.digest for clip in held_out],
        "measures": measures.as_json(),
    }
    checkpoint.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n")
