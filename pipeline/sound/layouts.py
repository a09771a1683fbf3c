"""Channel layouts by name, from the probe to the encoder: where each channel of a sound ends.

The dubbed track is AAC, which has seven channel configurations that every player knows. A sound
becomes the smallest of them that has all its channels; what it lacks of that is silent:

=============================================  ======  ============================================
channels of the sound                          AAC     how
=============================================  ======  ============================================
mono, or any one channel                       mono    as it is
stereo, downmix, binaural                      stereo  as they are
3.0 (LCR)                                      3.0     as they are
3.0(back), 4.0 (LCRS)                          4.0     as they are; no centre in 3.0(back)
quad, quad(side), 5.0, 5.0(side)               5.0     as they are, sides at the back
2.1, 3.1, 5.1, 5.1(side)                       5.1     as they are, sides at the back
7.0, 7.1                                       7.1     as they are
4.1, 6.0, hexagonal                            5.1     libswresample's downmix: back centre to both
all other named ones of seven and more         7.1     libswresample's downmix
unnamed, 1 to 8 channels                       --      taken for what players take them for: mono,
                                                       stereo, 3.0, 4.0, 5.0, 5.1, 6.1, 7.1
ambisonic                                      mono    its omnidirectional channel
unnamed, more than 8 channels                  mono    the mean of all
=============================================  ======  ============================================
"""

import re
from functools import cache

import av

from pipeline.media.info import AudioInfo

#: AAC's channel configurations, by FFmpeg's names, in order of size.
AAC_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")

#: What an unnamed layout is taken for, by its number of channels; FFmpeg's own choice, but for
#: three: a film's stems come as left, centre and right rather than with a subwoofer.
_UNNAMED = {
    1: "mono",
    2: "stereo",
    3: "3.0",
    4: "4.0",
    5: "5.0",
    6: "5.1",
    7: "6.1",
    8: "7.1",
}

#: Layouts of two channels for headphones or made from more; players treat them as stereo.
_AS_STEREO = frozenset(("downmix", "binaural"))

#: Channels that stand for another where the layout has no such pair of its own.
_SIDE_AT_BACK = {"SL": "BL", "SR": "BR"}


def aac_layout(audio: AudioInfo) -> str:
    """The AAC configuration that a sound is encoded in; see the table above."""
    channels = _channels(audio)
    if len(channels) == 1:
        return "mono"
    if audio.layout in _AS_STEREO:
        return "stereo"
    if not set(channels) & set(_SIDE_AT_BACK.values()):
        channels = tuple(_SIDE_AT_BACK.get(name, name) for name in channels)
    for layout in AAC_LAYOUTS:
        if set(channels) <= set(_named(layout)):
            return layout
    return "5.1" if len(channels) <= len(_named("5.1")) else "7.1"


def heard_layout(audio: AudioInfo) -> str:
    """Mono or stereo: what the networks' sound is made of.

    More than two channels are mixed down by libswresample, which knows where the dialogue is.
    """
    return "mono" if len(_channels(audio)) == 1 else "stereo"


def largest(layouts: list[str]) -> str:
    """The AAC configuration that all of these go into."""
    return max(layouts, key=AAC_LAYOUTS.index, default="stereo")


def channel_count(layout: str) -> int:
    return len(_named(layout))


def naming_filter(audio: AudioInfo) -> str | None:
    """The filter that gives an unnamed layout its name; None where it has one."""
    if _is_named(audio.layout):
        return None
    layout = _UNNAMED.get(audio.channels)
    if audio.layout.startswith("ambisonic"):
        return "pan=mono|c0=c0"
    if layout is None:
        mean = "+".join(f"{1 / audio.channels:.9f}*c{i}" for i in range(audio.channels))
        return f"pan=mono|c0={mean}"
    return f"channelmap={'|'.join(map(str, range(audio.channels)))}:{layout}"


def _channels(audio: AudioInfo) -> tuple[str, ...]:
    """Names of the channels, as FFmpeg has them, after :func:`naming_filter`."""
    if not _is_named(audio.layout):
        is_mixed = audio.channels not in _UNNAMED or audio.layout.startswith("ambisonic")
        return _named("mono" if is_mixed else _UNNAMED[audio.channels])
    custom = re.fullmatch(r"\d+ channels \((.+)\)", audio.layout)
    return tuple(custom[1].split("+")) if custom else _named(audio.layout)


def _is_named(layout: str) -> bool:
    """Not ``8 channels``, nor a list of channels that have no place in a room."""
    if layout.startswith("ambisonic") or "USR" in layout or "UNK" in layout or "NONE" in layout:
        return False
    return re.fullmatch(r"(\d+ channels)?", layout) is None


@cache
def _named(layout: str) -> tuple[str, ...]:
    return tuple(channel.name for channel in av.AudioLayout(layout).channels)
