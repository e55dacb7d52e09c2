"""The neural solver: the lattice refined by gradients, or Hashing-NVD (Chan et al., ICCV 2023) from nothing.

Nothing outside this package needs torch.
"""

import os

# Threads of torch that wait for each other would spin, which budgets in CPU seconds count, and which stops
# everything where other programs want the cores, too: with two threads, a small step took 7 to 100 times as
# long. Read when torch is imported, so set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
