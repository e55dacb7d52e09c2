"""The lattice solver: explicit maps by least squares, and atlases by averaging; a module a step."""
