"""Read a result's folder and render edits of it."""
