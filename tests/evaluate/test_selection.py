"""A draw of items is spread over labels and groups, and is the same again."""

import numpy as np
import pandas as pd
import pytest

from audiorig.evaluate.selection import spread_evenly


def items() -> pd.DataFrame:
    """Very uneven: 4 homes; CHI 50 each, FEM 10 each but in one home 2, MAL in one home only."""
    counts = {(label, home): size for label, size in (("CHI", 50), ("FEM", 10)) for home in "abcd"}
    counts |= {("FEM", "d"): 2, ("MAL", "a"): 30}
    rows = [{"voice": label, "home": home} for (label, home), size in counts.items() for _ in range(size)]
    return pd.DataFrame(rows).sample(frac=1, random_state=0, ignore_index=True)


def cells(rows: pd.DataFrame) -> dict[tuple[str, str], int]:
    return rows.groupby(["voice", "home"]).size().to_dict()  # type: ignore[return-value]


def drawn(max_items: int, *key: str | int) -> pd.DataFrame:
    return spread_evenly(items(), "voice", "home", max_items, *key)


def test_cells_give_alike_as_long_as_they_last() -> None:
    found = cells(drawn(74, 0))
    assert found == {
        ("CHI", "a"): 9, ("CHI", "b"): 9, ("CHI", "c"): 9, ("CHI", "d"): 9,
        ("FEM", "a"): 9, ("FEM", "b"): 9, ("FEM", "c"): 9, ("FEM", "d"): 2, ("MAL", "a"): 9,
    }  # fmt: skip


@pytest.mark.parametrize("max_items", [3, 5, 8, 20, 40, 100])
def test_there_are_so_many_and_no_cell_is_two_ahead_of_another(max_items: int) -> None:
    rows = drawn(max_items, 0)
    assert len(rows) == max_items
    assert rows.index.is_monotonic_increasing
    found, all_of = cells(rows), cells(items())
    full = {cell for cell, size in all_of.items() if found.get(cell, 0) == size}
    others = [found.get(cell, 0) for cell in all_of if cell not in full]
    assert max(others) - min(others) <= 1
    if max_items in (3, 5):  # of a turn that is not whole, labels have like shares
        assert rows["voice"].value_counts().to_dict() in (
            {"CHI": 1, "FEM": 1, "MAL": 1},
            {"CHI": 2, "FEM": 2, "MAL": 1},
        )


def test_few_items_are_all_of_them() -> None:
    assert drawn(1000, 0).equals(items())


def test_the_draw_has_a_name() -> None:
    assert drawn(20, 0).index.tolist() == drawn(20, 0).index.tolist()
    assert drawn(20, 0).index.tolist() != drawn(20, 1).index.tolist()


def test_a_cell_gives_the_same_whatever_the_other_cells_hold() -> None:
    """So that annotations of one home move nothing in another."""
    more = pd.concat([items(), pd.DataFrame({"voice": ["MAL"] * 99, "home": ["b"] * 99})], ignore_index=True)
    one, other = drawn(74, 0), spread_evenly(more, "voice", "home", 83, 0)
    is_other = (other["voice"] == "MAL") & (other["home"] == "b")
    assert other[~is_other].index.tolist() == one.index.tolist()


def test_label_and_group_can_be_one_column() -> None:
    rows = spread_evenly(items(), "home", "home", 40, 0)
    assert set(rows["home"].value_counts()) == {10}


def test_values_need_not_be_text() -> None:
    rows = items().assign(voice=np.arange(len(items())) % 3, home=1.5)
    assert set(spread_evenly(rows, "voice", "home", 9, 0)["voice"].value_counts()) == {3}
