"""Learned models that detect objects or propagate masks: opt-in, from a local path, never downloaded.

A model is a module here and a row of :mod:`nvd_core.spec.choices.finders` or ``propagators``. Its masks are rough, as
those from motion are, and are refined, written and corrected in the same way.
"""
