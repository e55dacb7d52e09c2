"""Weights come from files of tensors; nothing in a file is run."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nvd_core.runtime.weights import read_weights
from nvd_core.spec.errors import InputError

TENSORS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.zeros(2)}


@pytest.mark.parametrize("save", [save_file, torch.save])
def test_tensors_come_back_by_name(save, tmp_path: Path) -> None:
    path = tmp_path / ("w.safetensors" if save is save_file else "w.pth")
    save(TENSORS, path)
    found = read_weights(path)
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_no_numbers_are_named(value: float, tmp_path: Path) -> None:
    save_file(TENSORS | {"layer.bias": torch.tensor([0, value])}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"layer\.bias hold values that are not numbers"):
        read_weights(tmp_path / "w.safetensors")


class Harmful:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("was_run"),)


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"layer": Harmful()}, tmp_path / "bad.pth")
    (tmp_path / "worse.pth").write_bytes(pickle.dumps(Harmful()))
    for name in ("bad.pth", "worse.pth"):
        with pytest.raises(InputError, match="holds something else"):
            read_weights(tmp_path / name)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("content", [b"", b"not tensors", b"\x10" * 300])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_other_files_are_refused_in_a_sentence(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_weights(tmp_path / name)


def test_a_missing_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "none.pth")
