"""Sources of optical flow: the rows of the setting ``flow``. What runs them is in :mod:`nvd_core.flow`."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, ClassVar, Final

from nvd_core.spec.choices import AtPath, Choice, Cost
from nvd_core.spec.errors import InputError
from nvd_core.spec.patterns import files_at

if TYPE_CHECKING:
    from nvd_core.clip import ClipInfo
    from nvd_core.flow.given import Provider
    from nvd_core.spec.settings import Device


class FlowSource(Choice):
    """Source of optical flow between frames.

    Attributes:
        is_given: whether flow is stored before solving, rather than computed where it is needed.
    """

    setting = "flow"
    rows: ClassVar[dict[str, type[FlowSource]]]
    is_given: ClassVar[bool] = True

    @abstractmethod
    def open(self, info: ClipInfo, numbers: range, device: Device) -> Provider | None:
        """Open the provider of flow; None if whoever needs flow computes it by dense inverse search.

        Args:
            info: of the clip.
            numbers: plate numbers that are used.
            device: where a network runs.

        Raises:
            UsageError: the setting lacks something.
            InputError: files are missing, or do not fit the clip.
            SetupError: a package is missing, or there is no such device.
        """

    def check_paths(self) -> None:
        """Refuse paths at which nothing is, without opening any: for panels, which draw often.

        Raises:
            InputError: there is nothing.
        """


@dataclass(frozen=True)
class Dis(FlowSource):
    """Dense inverse search (Kroeger et al., ECCV 2016), wherever flow is needed."""

    name = "dis"
    about = "found here"
    is_given = False

    def open(self, info: ClipInfo, numbers: range, device: Device) -> None:
        """See :meth:`FlowSource.open`."""


@dataclass(frozen=True)
class FlowFiles(AtPath, FlowSource):
    """Files at a path: ``.flo``, or vector passes in EXR. In text, the path alone."""

    name = ""
    form = "a folder or pattern (flow.####.exr)"
    about = "flow files, .flo or EXR with vector passes"

    def open(self, info: ClipInfo, numbers: range, device: Device) -> Provider:  # noqa: ARG002
        """See :meth:`FlowSource.open`."""
        return resolve_name("nvd_core.flow.files:open_files")(self.path, info, numbers)

    def check_paths(self) -> None:
        """See :meth:`FlowSource.check_paths`."""
        if not any(one.suffix.lower() in {".flo", ".exr"} for one in files_at(Path(self.path))):
            hint = "Name a folder or pattern of .flo or EXR files."
            raise InputError("There are no flow files", where=self.path, hint=hint)


@dataclass(frozen=True)
class Raft(AtPath, FlowSource):
    """RAFT (Teed and Deng, ECCV 2020) with weights of torchvision's."""

    name = "raft"
    form = "raft:WEIGHTS"
    about = "torchvision's RAFT, with a file of its weights"
    cost = Cost(cpu_s={"prepare": {"flow_px": 4.2e-4}}, loaded_bytes=0.6e9)
    """CPU seconds at three distances, both ways; bytes of torch and network."""

    def open(self, info: ClipInfo, numbers: range, device: Device) -> Provider:  # noqa: ARG002
        """See :meth:`FlowSource.open`."""
        with info.unchanged.reading(Path(self.path)):
            return resolve_name("nvd_core.flow.raft:open_raft")(self.path, device)

    def check_paths(self) -> None:
        """See :meth:`FlowSource.check_paths`."""
        if not Path(self.path).is_file():
            raise InputError("There is no such file of weights", where=self.path, hint="Check the path.")


FLOW_SOURCES: Final[dict[str, type[FlowSource]]] = {row.name: row for row in (Dis, Raft)}
"""Table of the flow sources, by the name before the colon; any other text is a path of flow files."""
FlowSource.rows, FlowSource.unnamed = FLOW_SOURCES, FlowFiles
