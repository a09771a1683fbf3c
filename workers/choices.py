"""What a job's words mean on this machine: which network with which weights, which detector."""

from infra import checkpoints
from infra.settings import Settings
from pipeline.errors import CheckpointError
from pipeline.options import DetectorChoice, NetworkChoice

#: Published checkpoints in the order ``auto`` prefers them: the GAN one is sharper.
_PUBLISHED = ("wav2lip_gan", "wav2lip")


def choose_network(name: str, settings: Settings, device: str) -> NetworkChoice:
    """Resolve ``auto``: the configured or an installed checkpoint, else the built-in renderer.

    Args:
        name: ``auto``, ``wav2lip`` or ``draft``.
        settings: of this process.
        device: of this worker.

    Raises:
        CheckpointError: Wav2Lip was asked for and no checkpoint is there, or no such network is.
    """
    if name not in {"auto", "wav2lip", "draft"}:
        raise CheckpointError(f"this version has no network {name!r}")
    path = settings.checkpoint or next(filter(None, map(checkpoints.installed, _PUBLISHED)), None)
    if name == "wav2lip" and path is None:
        raise CheckpointError(
            "no Wav2Lip checkpoint is on this machine; run `lipfarm models pull wav2lip_gan`, "
            "or set LIPFARM_CHECKPOINT"
        )
    if name == "draft" or path is None:
        return NetworkChoice("draft")
    return NetworkChoice("wav2lip", path, device=device)


def choose_detector(name: str | None = None) -> DetectorChoice:
    """The detector of a job, or, without a name, this machine's best: YuNet where it is installed.

    Raises:
        CheckpointError: this machine does not have it.
    """
    weights = None if name == "centerface" else checkpoints.installed("yunet")
    if weights is not None:
        return DetectorChoice("yunet", weights)
    if name == "yunet":
        raise CheckpointError("YuNet is not on this machine; run `lipfarm models pull yunet`")
    return DetectorChoice("centerface")
