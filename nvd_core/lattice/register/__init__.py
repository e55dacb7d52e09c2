"""Register a layer: matches between its frames, and a map of every frame by least squares."""
