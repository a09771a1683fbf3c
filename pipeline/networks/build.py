"""A network by its name, ready to run; built once a process."""

from functools import lru_cache

from pipeline.errors import CheckpointError
from pipeline.networks import Network
from pipeline.networks.draft import DraftNetwork
from pipeline.options import NetworkChoice


@lru_cache(maxsize=1)
def build_network(choice: NetworkChoice) -> Network:
    """The network that was chosen, loaded on its device.

    Raises:
        CheckpointError: its weights are missing, damaged or of another network.
        ParameterError: the device or the precision is not to be had here.
    """
    if choice.name == "draft":
        return DraftNetwork()
    if choice.checkpoint is None:
        raise CheckpointError("wav2lip needs a checkpoint; give one", field="checkpoint")
    # Importing torch takes a second and 200 MB, which the draft renderer does without.
    from pipeline.networks.inference import Wav2LipNetwork  # noqa: PLC0415

    return Wav2LipNetwork(choice.checkpoint, device=choice.device, precision=choice.precision)
