"""Everything outside the process that is not media: today, where network weights come from.

Nothing here imports ``pipeline``, torch, OpenCV, librosa or NumPy, so that what only needs to look
after files starts in milliseconds. The database, the object store and the queue will live here too.

- ``checkpoints``: which weights there are, where they are kept, whether they are sound.
- ``downloads``: one file from several mirrors, resumable, checked before it counts.
- ``errors``: what can go wrong, as a tree.
"""
