"""The lattice solver: maps of all layers by least squares, then atlases by averaging the plates through the maps.

``solve`` runs it, ``windows`` divides long clips, and ``clip_map`` has steps 1 to 6 for up to a window of frames.
``layer`` is their input, one layer of the shot, and ``solution`` the result. The steps, as docs/method.md numbers them:

1. ``register.matches``: optical flow between frames, cross-checked, as point matches. ``register.user_flow``: points
   followed along the user's flow, where there is such.
2. ``register.start``: a homography a frame to the reference frame.
3. ``register.mapping``: the map of all frames, robust least squares on the matches (``equations``, ``spline``).
   ``register.folding``: both steps once more for a layer that folds, by fine flow.
4. ``refine.layout``: layout of a background's reference plane, even in scale.
5. ``refine.registration``: registration of every frame to the layer's mean picture (``picture.average``,
   ``picture.photometry``).
6. ``refine.folds``: fold-overs smoothed away.
7. ``picture.atlas``: the robust mean of the plates (``picture.inverse``, ``picture.canvas``).
8. ``picture.light``: the residual, at export.
"""
