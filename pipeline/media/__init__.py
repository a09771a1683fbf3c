"""Reading films: what is in a file, where its frames lie, and the frames themselves.

::

    opening → probe → packets → plan → segments → cutting → decoding → frames
"""
