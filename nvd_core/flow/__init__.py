"""Optical flow between two frames. A new way of finding it is one module beside :mod:`nvd_core.flow.dis`."""
