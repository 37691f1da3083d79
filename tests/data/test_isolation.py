"""Work that crashes, hangs or eats memory costs only the task that did it."""

import os
import signal
import time

import pytest

from audiorig.data.isolation import Limits, Work, map_isolated

LIMITS = Limits(memory_bytes=200 << 20, base_sec=0.3, sec_per_mb=0, patience=2)


def do(task: str) -> str:
    match task.split(":")[0]:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leave":
            os._exit(3)
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(60)
        case "eat":
            try:
                return str(len(bytearray(1 << 30)))
            except MemoryError:
                return "refused"
        case "raise":
            raise ValueError(task)
    return task.upper()


def run(batches: list[list[str]], num_workers: int = 2) -> list[list[str]]:
    work = Work(do, lambda task, how: f"{task}: {how}", lambda task: 0, LIMITS)
    return list(map_isolated(work, batches, num_workers))


@pytest.mark.parametrize("num_workers", [1, 2, 8])
def test_results_are_in_order(num_workers: int) -> None:
    batches = [[f"{batch}-{index}" for index in range(batch % 4)] for batch in range(40)]
    assert run(batches, num_workers) == [[task.upper() for task in batch] for batch in batches]


def test_nothing_to_do_is_no_problem() -> None:
    assert run([]) == []


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_crash_costs_only_the_task_that_crashed(place: int) -> None:
    tasks = [f"t{index}" for index in range(7)]
    tasks[place] = "crash"
    expected = [task.upper() for task in tasks]
    expected[place] = "crash: it ended the decoder (SIGSEGV)"
    assert run([["a"], tasks, ["z"]]) == [["A"], expected, ["Z"]]


def test_several_kinds_of_death_in_one_batch() -> None:
    found = run([["a", "crash:1", "leave", "b", "crash:2"]], 1)
    assert found == [
        [
            "A",
            "crash:1: it ended the decoder (SIGSEGV)",
            "leave: it ended the decoder (exit code 3)",
            "B",
            "crash:2: it ended the decoder (SIGSEGV)",
        ]
    ]


@pytest.mark.parametrize("how", ["sleep", "spin"])
def test_a_task_that_does_not_end_is_ended(how: str) -> None:
    started = time.monotonic()
    assert run([["a", how, "b"]]) == [["A", f"{how}: it did not end in time", "B"]]
    assert time.monotonic() - started < 8  # twice: among the others, then alone


def test_memory_is_bounded() -> None:
    assert run([["a", "eat", "b"]]) == [["A", "refused", "B"]]


def test_a_mistake_of_the_project_is_no_fault_of_a_file() -> None:
    with pytest.raises(RuntimeError, match="ValueError: raise:1"):
        run([["a", "raise:1"]])


def test_a_task_that_harms_a_later_one_is_told_from_it(tmp_path) -> None:
    """The death counts only if it happens alone."""

    def harmful(task: str) -> str:
        if task == "harm":
            os.environ["HARMED"] = "1"
        if task == "victim" and "HARMED" in os.environ:
            os._exit(1)
        return task

    work = Work(harmful, lambda task, how: "blamed", lambda task: 0, LIMITS)
    assert list(map_isolated(work, [["a", "harm", "b", "victim", "c"]], 1)) == [["a", "harm", "b", "victim", "c"]]
