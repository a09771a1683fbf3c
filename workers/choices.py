"""What a job's words mean on this machine: which network with which weights, which detector."""

from pathlib import Path

from infra import checkpoints
from pipeline.errors import CheckpointError
from pipeline.options import DetectorChoice, NetworkChoice, Precision

#: Published checkpoints in the order ``auto`` prefers them: the GAN one is sharper.
_PUBLISHED = ("wav2lip_gan", "wav2lip")


def choose_network(
    name: str,
    checkpoint: Path | None,
    device: str,
    precision: Precision = "auto",
    *,
    remedy: str = "set LIPFARM_CHECKPOINT",
) -> NetworkChoice:
    """Resolve ``auto``: the given or an installed checkpoint, else the built-in renderer.

    Args:
        name: ``auto``, ``wav2lip`` or ``draft``.
        checkpoint: that was given; None takes what is installed.
        device, precision: what Wav2Lip is to run on, and how.
        remedy: how whoever asks gives a checkpoint, for the message when there is none.

    Raises:
        CheckpointError: Wav2Lip was asked for and no checkpoint is there, or no such network is.
    """
    if name not in {"auto", "wav2lip", "draft"}:
        raise CheckpointError(f"this version has no network {name!r}")
    path = checkpoint or next(filter(None, map(checkpoints.installed, _PUBLISHED)), None)
    if name == "wav2lip" and path is None:
        raise CheckpointError(
            "no Wav2Lip checkpoint is installed; run `lipfarm models pull wav2lip_gan`, "
            f"or {remedy}"
        )
    if name == "draft" or path is None:
        return NetworkChoice("draft")
    return NetworkChoice("wav2lip", path, device=device, precision=precision)


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
