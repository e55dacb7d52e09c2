"""Optical flow between frames: computed by dense inverse search (:mod:`nvd_core.flow.dis`), or by a provider.

A provider is a module beside :mod:`nvd_core.flow.files` and a row of :mod:`nvd_core.spec.choices.flow_sources`.
"""
