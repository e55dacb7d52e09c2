"""Blender and the operating system: their versions, locks, timers, fields."""
