"""Training a network of the Wav2Lip family from talking clips, and judging one.

In order: :mod:`.preparing` makes face crops and sound of a folder of clips, :mod:`.samples` draws
batches from them, :mod:`.phases` says what is learned when, :mod:`.running` does it and survives
being killed, :mod:`.measuring` judges a checkpoint on people held out.

Conventions: crops are ``(CROP, CROP, 3)`` uint8 BGR and show the box a dub would show the network
with a margin of ``MARGIN`` of its size on each side; tensors are ``(B, C, 96, 96)`` in [0, 1].
"""

from typing import Final

#: Pixels on a side of a stored crop.
CROP: Final = 144

#: Part of the box's width and height around it in a crop: room to shift and scale.
MARGIN: Final = 0.125

#: Part of a crop that is the box.
BOX_SHARE: Final = 1 / (1 + 2 * MARGIN)
