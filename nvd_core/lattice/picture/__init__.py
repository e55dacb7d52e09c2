"""Picture of a layer: average the frames through its map, invert the map, estimate light."""
