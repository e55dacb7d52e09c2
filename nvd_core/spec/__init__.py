"""Specify jobs, result folders and worker events: all that Blender knows of the engine, with the standard library."""
