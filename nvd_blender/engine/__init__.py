"""The engine: locate, install and check the Python in which the worker runs."""
