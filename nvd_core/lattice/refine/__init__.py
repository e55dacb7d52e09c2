"""Refine a layer's map: lay out the reference plane, register frames to the picture, remove folds."""
