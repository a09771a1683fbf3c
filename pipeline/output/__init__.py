"""Writing films: encoded segments that join, what a container holds, and a verified output.

::

    encode → join → interleave → mux → verify → publish

What of the film goes in is decided before the work by containers (the tables) and rehearsal (the
muxer itself); sizes says how much room it takes. keys writes what cameras tell of a film, preview
the small film of before and after.
"""
