"""The command line, the worker of Blender, and their commands: each reads arguments and calls the library."""
