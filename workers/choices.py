"""What a job's words mean on this machine: which network with which weights, which detector."""

import os
from pathlib import Path

from infra import checkpoints
from pipeline.errors import CheckpointError
from pipeline.options import DetectorChoice, NetworkChoice, Precision


def choose_network(
    name: str,
    checkpoint: Path | None,
    device: str,
    precision: Precision = "auto",
    *,
    remedy: str = "set LIPFARM_CHECKPOINT",
) -> NetworkChoice:
    """Resolve ``auto``: the given checkpoint, a published one, the shipped one, else ``draft``.

    Weights whose licence forbids what lipfarm is used for count as not installed.

    Args:
        name: ``auto``, ``wav2lip`` or ``draft``.
        checkpoint: that was given; None takes what is installed.
        device, precision: what Wav2Lip is to run on, and how.
        remedy: how whoever asks gives a checkpoint, for the message when there is none.

    Raises:
        CheckpointError: Wav2Lip was asked for and no checkpoint is there, the given one may not be
            used here, or no such network is.
    """
    if name not in {"auto", "wav2lip", "draft"}:
        raise CheckpointError(f"this version has no network {name!r}")
    if name == "draft":
        return NetworkChoice("draft")
    if checkpoint is not None:
        _require_permission(checkpoint)
    path = checkpoint or next(filter(None, map(checkpoints.usable, checkpoints.preferred())), None)
    if name == "wav2lip" and path is None:
        raise CheckpointError(
            "no Wav2Lip checkpoint is here that may be used; "
            "run `lipfarm models pull wav2lip_gan`, "
            f"or {remedy}"
        )
    if path is None:
        return NetworkChoice("draft")
    return NetworkChoice("wav2lip", path, device=device, precision=precision)


def describe_weights(path: Path) -> str:
    """Weights in words: a registered checkpoint's name and licence, or else the path."""
    entry = checkpoints.recognise(path)
    if entry is None:
        return f"checkpoint {path}"
    return f"checkpoint {entry.name}, for {entry.licence.name}"


def _require_permission(path: Path) -> None:
    if not os.environ.get(checkpoints.COMMERCIAL_VARIABLE):
        return
    entry = checkpoints.recognise(path)
    if entry is not None and not checkpoints.is_permitted(entry):
        raise CheckpointError(
            f"{path} is {entry.name}, which is for {entry.licence.name}, and "
            f"{checkpoints.COMMERCIAL_VARIABLE} is set"
        )


def choose_detector(name: str | None = None) -> DetectorChoice:
    """The named detector; without a name, or for ``auto``, YuNet where its weights are installed.

    Raises:
        CheckpointError: YuNet was asked for and is not installed.
    """
    weights = None if name == "centerface" else checkpoints.installed("yunet")
    if weights is not None:
        return DetectorChoice("yunet", weights)
    if name == "yunet":
        raise CheckpointError("YuNet is not installed; run `lipfarm models pull yunet`")
    return DetectorChoice("centerface")
