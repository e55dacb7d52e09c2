"""The forecast: what it depends on, is made of, and in words; ``benchmarks/forecast.py`` says whether it is right."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from nvd_core.spec.choices.amounts import MemoryBudget, machine_bytes
from nvd_core.spec.conventions import BACKGROUND, Size
from nvd_core.spec.errors import MemoryLimitError, UsageError
from nvd_core.spec.forecast import Forecast, Needs
from nvd_core.spec.settings import MaskSource, Settings

SMALL, MEDIUM, LARGE = Size(384, 216), Size(768, 432), Size(1920, 1080)


def forecast(size: Size, frames: int, layers: int, settings: Settings, cores: int) -> Forecast:
    return Needs(size, frames, layers, settings).forecast(cores)


def test_more_of_anything_takes_more() -> None:
    few = forecast(MEDIUM, 50, 2, Settings(), cores=4)
    for more in (
        forecast(LARGE, 50, 2, Settings(), cores=4),
        forecast(MEDIUM, 60, 2, Settings(), cores=4),
        forecast(MEDIUM, 50, 2, Settings(), cores=2),
    ):
        assert more.seconds > few.seconds
        assert more.disk_bytes >= few.disk_bytes
        assert more.memory_bytes >= few.memory_bytes
    assert forecast(MEDIUM, 50, 3, Settings(), cores=4).disk_bytes > few.disk_bytes
    assert forecast(LARGE, 50, 2, Settings(preset="final"), cores=4).seconds > 2 * few.seconds


def test_a_learned_model_takes_its_time_and_memory() -> None:
    plain, learned = (
        Needs(MEDIUM, 50, 2, Settings.of(carry=carry), propagated=1).forecast(4)
        for carry in ("motion", "sam2:models/sam2")
    )
    assert learned.seconds > 3 * plain.seconds
    assert learned.memory_bytes > plain.memory_bytes


def test_objects_that_have_to_be_found_take_longer() -> None:
    given, found = (
        Needs.of(MEDIUM, 50, masks, Settings()).forecast(4)
        for masks in ([MaskSource.of(name="thing", path="thing.png", frame=1)], [])
    )
    assert found.seconds > given.seconds


def test_learned_flow_and_a_learned_finder_take_their_time() -> None:
    plain = forecast(MEDIUM, 50, 2, Settings(), cores=4)
    flow = forecast(MEDIUM, 50, 2, Settings.of(flow="raft:raft.pth"), cores=4)
    assert flow.seconds > 5 * plain.seconds
    given = forecast(MEDIUM, 50, 2, Settings.of(flow="folder"), cores=4)
    assert flow.memory_bytes > given.memory_bytes
    moving, known = (Needs.of(MEDIUM, 50, [], Settings.of(find=find)) for find in ("moving", "maskrcnn:model.pth"))
    assert known.cpu_seconds()["find"] > moving.cpu_seconds()["find"] > 0
    assert known.memory_bytes(1) > moving.memory_bytes(1)


@pytest.mark.parametrize("more", [{"start": "none"}, {"preset": "paper"}])
def test_no_time_is_told_of_a_training_from_nothing(more: dict[str, str]) -> None:
    takes = forecast(MEDIUM, 50, 2, Settings.of(solver="neural", **more), cores=4)
    assert takes.seconds is None
    assert str(takes).partition(" of memory")[0].endswith("GB")
    assert "about" not in str(takes)


def test_a_smaller_height_takes_less_to_solve_and_the_same_disk() -> None:
    less, normal = (forecast(LARGE, 50, 2, Settings(height=height), cores=4) for height in (240, None))
    assert less.seconds < normal.seconds
    assert less.memory_bytes <= normal.memory_bytes
    assert less.disk_bytes < normal.disk_bytes < 1.1 * less.disk_bytes  # by what is kept while it works


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "about 10 s"),
        (33, "about 30 s"),
        (54, "about 50 s"),
        (56, "about 1 min"),
        (125, "about 2 min"),
        (594, "about 10 min"),
        (1000, "about 15 min"),
        (9000, "about 2 h"),
    ],
)
def test_times_are_told_as_coarsely_as_they_are_known(seconds: float, words: str) -> None:
    assert str(Forecast(seconds, 1.14e9, 23.4e9)) == f"{words}, 1.2 GB of memory, 23 GB on disk"


@pytest.mark.parametrize(("said", "amount"), [("4G", 4e9), ("800M", 8e8), ("1.5 gb", 1.5e9), ("2T", 2e12)])
def test_amounts_of_memory(said: str, amount: float) -> None:
    assert Settings.of(memory=said).memory.bytes == amount


@pytest.mark.parametrize("said", ["4", "G", "-1G", "0G", "4X", "4 G G"])
def test_what_is_no_amount_of_memory_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="is not an amount of memory"):
        MemoryBudget.parse(said)


def test_without_a_word_a_part_of_the_machine_is_used() -> None:
    assert 0.5e9 < MemoryBudget().bytes < machine_bytes()


def test_a_budget_bounds_how_many_plates_are_worked_on_and_is_kept() -> None:
    huge = Size(3840, 2160)
    for budget in (4e9, 6e9, 9e9, 90e9):
        needs = Needs(huge, 60, 2, Settings.of(memory=f"{budget / 1e9}G"))
        at_once = needs.plates_at_once(8)
        assert needs.memory_bytes(at_once) <= budget
        assert at_once == 8 or needs.memory_bytes(at_once + 1) > budget
        takes = needs.forecast(8)
        assert takes.memory_bytes == needs.memory_bytes(at_once)
        takes.check_memory()


def test_too_small_a_budget_is_refused_with_what_is_needed() -> None:
    takes = Needs(Size(3840, 2160), 60, 2, Settings.of(memory="2G")).forecast(8)
    with pytest.raises(MemoryLimitError, match=r"The job needs about \d\.\d GB of memory, and 2\.0 GB may be used"):
        takes.check_memory()


@pytest.mark.parametrize(
    ("needs", "advice", "never"),
    [
        (Needs(Size(3840, 2160), 1, 2, Settings.of(memory="300M")), "preset preview", "fewer frames"),
        (Needs(Size(3840, 2160), 1, 2, Settings.of(memory="300M", preset="preview")), "Allow more memory.", " or "),
        (Needs(Size(320, 180), 190, 2, Settings.of(memory="300M")), "use fewer frames", "height"),
    ],
)
def test_only_what_takes_less_memory_is_advised(needs: Needs, advice: str, never: str) -> None:
    with pytest.raises(MemoryLimitError) as caught:
        needs.forecast(2).check_memory()
    assert advice in caught.value.hint
    assert never not in caught.value.hint


def test_atlases_that_turn_out_too_large_are_refused() -> None:
    needs = Needs(Size(1920, 1080), 10, 2, Settings.of(memory="4G"))
    needs.check_atlases(1, 2, 10e6)
    with pytest.raises(MemoryLimitError, match=r"The atlases of all that the camera sees need about \d+\.?\d* GB"):
        needs.check_atlases(1, 2, 200e6)


def test_memory_does_for_as_many_objects_as_may_be_found() -> None:
    found, most = (
        Needs(LARGE, 20, 2, Settings(), propagated=1, is_discovered=True),
        Needs(LARGE, 20, 4, Settings(), propagated=3),
    )
    assert found.memory_bytes(1) >= most.memory_bytes(1)


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_the_time_is_that_of_all_steps(cores: int) -> None:
    needs = Needs.of(MEDIUM, 50, [], Settings())
    steps = needs.steps(cores)
    assert all(seconds > 0 for _, seconds in steps)
    whole = needs.forecast(cores).seconds
    assert sum(seconds for _, seconds in steps) < whole < sum(seconds for _, seconds in steps) + 10


def test_what_costs_more_is_more_of_the_progress() -> None:
    def share(stage: str, needs: Needs) -> float:
        steps = needs.steps(2)
        return sum(seconds for name, seconds in steps if name == stage) / sum(seconds for _, seconds in steps)

    small, large = (Needs(size, 20, 2, Settings()) for size in (SMALL, LARGE))
    assert share("frames", large) > share("frames", small)
    assert share("map", small) > share("map", large)
    assert share("carry", Needs(SMALL, 20, 2, Settings(), propagated=1)) > 0


def test_a_long_clip_takes_little_more_memory_than_a_window() -> None:
    window, long = (Needs(Size(640, 360), frames, 2, Settings()).memory_bytes(1) for frames in (200, 1200))
    assert window < long < 1.3 * window + 1000 * 2 * 0.2e6


def test_the_benchmark_fits_and_compares_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that go as they were forecast; tables that are fitted to them forecast the same."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    benchmark, jobs = import_module("forecast"), import_module("forecast_jobs")

    def amounts(name: str) -> dict[str, float]:
        needs = jobs.needs_of(name, "")
        return needs.amounts(needs.plates_at_once(2), 2)

    def cost(table: dict[str, dict[str, float]], row: str, name: str) -> float:
        return sum(cost * amounts(name)[unit] for unit, cost in table.get(row, {}).items())

    log = []
    for name in ("one mask", "no object", "standard", "four frames"):
        rows = ["start", *jobs.needs_of(name, "").rows]
        stages = []
        for row in rows:
            stage, _, of = row.partition(" of ")
            layer = BACKGROUND if of == "the background" else of
            cpu_s, peak = cost(benchmark.CPU_S, row, name), cost(benchmark.BYTES, stage, name) / 1.3
            stages.append({"name": stage, "layer": layer, "cpu_s": cpu_s, "peak": peak, "alone": 0.5})
        whole = sum(stage["cpu_s"] for stage in stages)
        told = [(0.1 * whole, 0.1, 0.9 * whole), (0.5 * whole, 0.5, 0.5 * whole)]
        peak = max(stage["peak"] for stage in stages)
        log.append(jobs.Taken(name, "", 0, "", whole, whole, peak, 1.0, stages, told, 0, 2))

    fitted = benchmark.fit(log)
    for taken in log:
        rows = jobs.needs_of(taken.shape, "").rows
        before, now = (
            sum(cost(table, row, taken.shape) for row in rows) for table in (benchmark.CPU_S, fitted["CPU_S"])
        )
        assert now == pytest.approx(before, rel=0.1)
        assert max(cost(fitted["BYTES"], row.partition(" of ")[0], taken.shape) for row in rows) >= 1.19 * taken.peak
        one = benchmark.compared(taken, 1.0)
        assert one["cpu_forecast"] == pytest.approx(one["cpu_s"])
        assert one["eta"] == pytest.approx(1.0)
    assert "four frames" in benchmark.table(log)
