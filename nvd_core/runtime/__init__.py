"""How a job runs: threads, memory, progress, cancellation, checkpoints, locks, devices."""
