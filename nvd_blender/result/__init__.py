"""What a job has made, in the .blend: node trees, atlases, layers, paint."""
