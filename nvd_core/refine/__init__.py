"""Refine the lattice's maps by gradient descent: render every frame from the layer's picture, compare with the plate.

No network is trained here. A layer's map is the lattice's, displaced by a few trained nodes per frame; its picture and
the light on it have closed forms, so that whole frames train in the place of millions of random points.
"""
