"""The dialogue: decoded for the networks, encoded for the output, and where somebody speaks.

::

    decoding (samples on a clock) ┬→ dialogue, assembly → the dubbed track, by layouts
                                  └→ speech, features   → what networks hear
"""
