"""Reading films: what is in a file, where its frames lie, and the frames themselves.

::

    opening → probe → packets → plan → segments → cutting → decoding → frames

==================  ===============================================================================
what a file is      info (the values), wholeness and promises (was it cut short?), looks (all over
                    the picture), declared (by the container), sidedata and extras (beside the
                    samples)
one clock           clock (jumps and holes of all streams), straightening (copies without jumps)
samples             planes, h264, adts (headers within AAC)
stills and folders  pictures, picture_kinds (by their first bytes), picture_light
the program         ffmpeg_program (which ffmpeg is run)
==================  ===============================================================================
"""
