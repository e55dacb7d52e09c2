"""The neural solver: refines the lattice by gradient descent, or trains Hashing-NVD (Chan et al., ICCV 2023)."""
