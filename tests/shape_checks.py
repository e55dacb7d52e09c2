"""Every array that passes a function of nvd_core in a test is checked against the shape that is written there."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
