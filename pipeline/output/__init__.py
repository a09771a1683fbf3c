"""Writing films: encoded segments that join, what a container holds, and a verified output.

::

    encode → join → (mux, in pipeline.stitch) → verify → publish
"""
