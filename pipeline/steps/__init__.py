"""The stages as calls on files: what a farm's workers run one by one, and ``lipfarm dub`` in a row.

==========  =====================  =======================================  ====================
stage       call                   writes                                   tells
==========  =====================  =======================================  ====================
prepare     preparing.prepare      ``source-*``, ``sound-*``                Prepared, DetectSteps
detect      detecting.detect       ``detect-*``, one a segment
track       tracking.track         ``tracks-*``                             Tracked, RenderSteps
render      rendering.render       ``render-*``, one a range of the output  Rendered
stitch      stitching.stitch       the output file                          the report
==========  =====================  =======================================  ====================

All calls work in a :class:`~pipeline.artifacts.Store`, a folder that may hold only what was fetched
for them. An artifact is a folder in it, named by its key; which of its files a step reads, the
step's ``reads`` say. A call that misses one raises
:class:`~pipeline.artifacts.MissingArtifactsError`, whose ``reads`` name all it misses: bring them
and call again. (A damaged film is looked through again while it is tracked, which nobody can know
before; then ``track`` asks for the objects.)

What the calls tell is made of plain values and survives JSON: see :mod:`pipeline.steps.facts`.
Nothing in it names a place on the machine it was made on.

An artifact that is there already is not made again: ``prepare`` is told which are, the keys of
the others come with their steps, and :func:`pipeline.steps.facts.render_key` gives those of render.
"""
