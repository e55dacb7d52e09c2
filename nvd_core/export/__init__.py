"""Export a solution to files: atlases, frame EXRs, STMaps, report."""
