"""Which H.264 keyframes a decoder can truly start from (ITU-T H.264, 7.3.1, 7.4.1, D.2.8)."""

from collections.abc import Iterator

_NAL_IDR = 5
_NAL_SEI = 6
_SEI_RECOVERY_POINT = 6


def is_clean_entry(packet: bytes, extradata: bytes | None) -> bool:
    """Does every picture shown after this keyframe decode exactly when decoding starts here?

    An IDR picture is such an entry, and so is an open GOP's keyframe, whose recovery point message
    says 0 frames. With periodic intra refresh containers flag packets that only begin to repair
    the picture, line by line: their message says how many frames that takes.

    Args:
        packet: one access unit.
        extradata: of the stream: tells whether NAL units have lengths or start codes.
    """
    for unit in _nal_units(packet, extradata):
        kind = unit[0] & 0x1F
        if kind == _NAL_IDR:
            return True
        if kind == _NAL_SEI and (recovery := _recovery_point(unit[1:])) is not None:
            return recovery
    return False


def _nal_units(packet: bytes, extradata: bytes | None) -> Iterator[bytes]:
    if extradata and extradata[0] == 1:  # avcC: each unit after its length
        width, position = (extradata[4] & 3) + 1, 0
        while position + width < len(packet):
            start = position + width
            position = start + int.from_bytes(packet[position:start], "big")
            yield packet[start:position]
    else:
        yield from (unit for unit in packet.split(b"\0\0\1") if unit.strip(b"\0"))


def _recovery_point(payloads: bytes) -> bool | None:
    """Is the recovery point message's frame count 0; None where there is no such message."""
    data = payloads.replace(b"\0\0\3", b"\0\0")
    position = 0
    while position + 2 < len(data):
        kind, position = _sei_number(data, position)
        size, position = _sei_number(data, position)
        if kind == _SEI_RECOVERY_POINT and position < len(data):
            # recovery_frame_cnt comes first, as ue(v): a leading 1 bit is the number 0.
            return bool(data[position] & 0x80)
        position += size
    return None


def _sei_number(data: bytes, position: int) -> tuple[int, int]:
    """A payload's type or size: bytes of 255 add up until a smaller one."""
    total = 0
    while position < len(data) and data[position] == 255:
        total, position = total + 255, position + 1
    last = data[position] if position < len(data) else 0
    return total + last, position + 1
