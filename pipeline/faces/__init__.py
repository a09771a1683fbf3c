"""Who is in the picture: looks at single frames, cuts between shots, and faces followed through.

::

    thumbnails → detectors → looks ─┐
                 shots ─────────────┴→ linking → doubts → tracks
"""
