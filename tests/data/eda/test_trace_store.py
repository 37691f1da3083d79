"""Traces come back as they were written, whoever reads them."""

import pickle
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from audiorig.data.eda.trace_store import SIGNALS, TRACES_IN_A_BATCH, Signals, TraceStore, write_traces
from audiorig.errors import DataError


def signals_of(number: int) -> Signals:
    """Lengths differ, the first trace has no step, and some steps are unknown."""
    clean = np.arange(number % 7, dtype=np.float64) + number
    clean[2::3] = np.nan
    return Signals.of_parts(clean, clean / 4)


def write(path: Path, count: int) -> list[str]:
    ids = [f"x/{number:05d}/a/0" for number in range(count)]
    write_traces(path, ((trace_id, signals_of(number)) for number, trace_id in enumerate(ids)), 4.0)
    return ids


def mean_of_known(store: TraceStore, trace_id: str) -> float:
    return float(np.nanmean(store.signal(trace_id, "clean")))


def test_every_trace_comes_back(tmp_path: Path) -> None:
    ids = write(tmp_path / "traces.arrow", TRACES_IN_A_BATCH + 9)
    store = TraceStore(tmp_path / "traces.arrow")
    assert len(store) == len(ids)
    for number in (0, 3, 6, TRACES_IN_A_BATCH - 1, TRACES_IN_A_BATCH, len(ids) - 1):
        for name in SIGNALS:
            found = store.signal(ids[number], name)
            assert found.dtype == np.float32
            assert np.array_equal(found, getattr(signals_of(number), name), equal_nan=True)
    assert store.rate_hz(ids[-1]) == 4
    assert ids[5] in store
    assert "x/5/a/0" not in store


def test_what_is_returned_can_be_changed(tmp_path: Path) -> None:
    ids = write(tmp_path / "traces.arrow", 9)
    store = TraceStore(tmp_path / "traces.arrow")
    store.signal(ids[6], "clean")[:] = 0
    assert np.array_equal(store.signal(ids[6], "clean"), signals_of(6).clean, equal_nan=True)


def test_parts_add_up() -> None:
    found = Signals.of_parts(np.array([5.1, 5.2]), np.array([5.0, 5.3]))
    assert np.allclose(found.tonic + found.phasic, found.clean, atol=1e-6)
    assert np.isnan(Signals.all_lost(3).phasic).all()


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_worker_processes_read_it(tmp_path: Path, method: str) -> None:
    ids = write(tmp_path / "traces.arrow", 20)
    store = TraceStore(tmp_path / "traces.arrow")
    if method == "spawn":  # what a spawned worker does, without the seconds that it takes to start
        assert mean_of_known(pickle.loads(pickle.dumps(store)), ids[13]) == mean_of_known(store, ids[13])
        assert len(pickle.dumps(store)) < 1000
        return
    with get_context(method).Pool(1) as pool:
        assert pool.apply(mean_of_known, (store, ids[13])) == mean_of_known(store, ids[13])


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    write(tmp_path / "traces.arrow", 2)
    with pytest.raises(DataError, match=r"traces\.arrow: nothing is known of the trace 'x/9'; found 2 others"):
        TraceStore(tmp_path / "traces.arrow").signal("x/9", "clean")
    (tmp_path / "torn.arrow").write_bytes(b"ARROW1\0\0torn")
    with pytest.raises(DataError, match=r"torn\.arrow: no file of traces"):
        TraceStore(tmp_path / "torn.arrow")
    with pytest.raises(DataError, match=r"none\.arrow: no file of traces"):
        TraceStore(tmp_path / "none.arrow")


def test_a_corpus_without_traces(tmp_path: Path) -> None:
    write(tmp_path / "traces.arrow", 0)
    assert len(TraceStore(tmp_path / "traces.arrow")) == 0


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    def failing() -> object:
        yield "a", signals_of(3)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_traces(tmp_path / "traces.arrow", failing(), 4.0)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
