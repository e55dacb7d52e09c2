"""The lattice's maps, refined by gradients: every frame is drawn from the layer's picture and compared with the plate.

What the published networks learn with millions of random points is learnt here on whole frames: a map is the
lattice's, moved by a few trained nodes; the picture behind it is known in closed form, and so is the light.
"""
