"""The neural solver: the lattice refined by gradients, or Hashing-NVD (Chan et al., ICCV 2023) from nothing."""
