"""placeholder until merged"""

from collections.abc import Generator

from nvd_core.masks.camera import Camera


def find_objects(camera: Camera) -> Generator[float, None, tuple]:
    yield 1.0
    return ()
