"""The neural solver: Hashing-NVD (Chan et al., ICCV 2023). Nothing outside this package needs torch."""

import os

# Threads of torch that wait for each other would spin, and a budget in CPU seconds counts that: with two
# threads, a step took 1.3 times as much. Read when torch is imported, so set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
