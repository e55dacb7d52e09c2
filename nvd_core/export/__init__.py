"""From a solution to files: atlases, frame EXRs, STMaps, report."""
