"""What is decomposed: strip, frames, objects with their masks, settings."""
