"""Jobs: check and forecast them, queue and run them, remember them over a crash."""
