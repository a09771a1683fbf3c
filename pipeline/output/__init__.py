"""Writing films: encoded segments that join, what a container holds, and a verified output.

::

    encode → join → interleave → mux → verify → publish
"""
