"""A few of many items, spread over what they differ in."""

import numpy as np
import pandas as pd

from audiorig.randomness import keyed_generator


def spread_evenly(rows: pd.DataFrame, label: str, group: str, max_items: int, *key: str | int) -> pd.DataFrame:
    """At most so many rows, in their order, as evenly over (label, group) as those allow.

    The cells are gone through in turns, each giving one of its rows; of a last turn that is not
    whole, labels get their shares alike. What a cell gives depends on its own rows and the key.

    Args:
        rows: items; two columns of them are ``label`` and ``group``.
        key: names the draw.
    """
    if len(rows) <= max_items:
        return rows
    names, label_of = np.unique(rows[label].to_numpy(dtype=str), return_inverse=True)
    groups, group_of = np.unique(rows[group].to_numpy(dtype=str), return_inverse=True)
    turn, cell_rank, label_rank = (np.zeros(len(rows)) for _ in range(3))
    for number, name in enumerate(names):
        of_label = np.flatnonzero(label_of == number)
        cells = np.unique(group_of[of_label])
        generator = keyed_generator("probe-items", *key, str(name))
        label_rank[of_label] = generator.random()
        for cell, rank in zip(cells, generator.permutation(len(cells)), strict=True):
            members = of_label[group_of[of_label] == cell]
            cell_rank[members] = rank
            drawn = keyed_generator("probe-items", *key, str(name), str(groups[cell]))
            turn[members] = drawn.permutation(len(members))
    order = np.lexsort((label_rank, cell_rank, turn))  # by turn, then by cell, so that no label has two before another
    return rows.iloc[np.sort(order[:max_items])]
