"""Pictures: sample, warp, filter, fit motion, convert colours, read and write EXRs."""
