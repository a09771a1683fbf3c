"""Pure media and model code: paths, arrays and numbers in; paths, arrays and numbers out.

A frame goes one way through these modules::

    probe → segments → frames → faces, shots → tracks ┐
    sound → mel, speech ──────────────────────────────┴→ render → stitch
                                                 (networks, composite, encode)

Conventions, once for the whole package:

- Stages, in order: prepare, detect, track, render, stitch.
- Frames are numbered from 0 in presentation order over the whole source. Ranges are half-open.
- Rates and time bases are ``Fraction``; a point in time is an integer ``pts`` in a time base.
- Pictures for networks and detectors are ``(height, width, 3)`` uint8 in BGR, as OpenCV has them.
- Sound is ``(n,)`` float32 at 16 kHz, mono, in [-1, 1].
- Nothing here imports a database, a queue, an object store or a web framework.
"""
