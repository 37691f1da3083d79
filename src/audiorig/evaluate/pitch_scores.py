"""How well a pitch curve is known: sums of each clip, from which scores with intervals come."""

import numpy as np
from numpy.typing import NDArray

from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.models.pitch.track import cents_between

METRICS = ("rpa50", "rca", "vuv_error", "f0_rmse_cents")
TOLERANCE_CENTS = 50.0

Pitches = NDArray[np.float32]
Bools = NDArray[np.bool_]


def pitch_sums(
    true_hz: Pitches, is_truly_voiced: Bools, hz: Pitches, is_voiced: Bools, is_scored: Bools
) -> NDArray[np.float64]:
    """Numerator and denominator of each metric, for one clip: (4, 2), in the order of ``METRICS``.

    - raw pitch accuracy: truly voiced frames less than 50 cents off, of all truly voiced ones,
      whatever voicing was predicted;
    - raw chroma accuracy: the same but for octaves;
    - voicing error: frames whose voicing is wrong, of all;
    - error of the pitch: squared cents over the frames that are voiced in both.

    Args:
        true_hz, hz: (N,).
        is_truly_voiced, is_voiced: (N,).
        is_scored: (N,), the frames that count.
    """
    voiced = is_truly_voiced & is_scored
    both = voiced & is_voiced
    cents = np.full(len(hz), np.nan)
    cents[voiced] = cents_between(hz[voiced], true_hz[voiced])
    folded = cents - 1200 * np.round(cents / 1200)
    return np.array(
        [
            [(np.abs(cents[voiced]) < TOLERANCE_CENTS).sum(), voiced.sum()],
            [(np.abs(folded[voiced]) < TOLERANCE_CENTS).sum(), voiced.sum()],
            [((is_voiced != is_truly_voiced) & is_scored).sum(), is_scored.sum()],
            [np.square(cents[both]).sum(), both.sum()],
        ],
        dtype=np.float64,
    )


def pitch_scores(sums: Floats, resampling: Resampling) -> dict[str, Score]:
    """Scores of a system, by metric; a metric with nothing to count is left out.

    Args:
        sums: (n, 4, 2), ``pitch_sums`` of each clip, in the order of the resampling's groups.
    """
    total, drawn = resampling.totals(sums)
    scores = {}
    for row, name in enumerate(METRICS):
        if total[row, 1] == 0:
            continue
        value = total[row, 0] / total[row, 1]
        counts = np.where(drawn[:, row, 1] > 0, drawn[:, row, 1], np.nan)  # a draw may lack voiced frames
        draws = drawn[:, row, 0] / counts
        if name == "f0_rmse_cents":
            value, draws = np.sqrt(value), np.sqrt(draws)
        scores[name] = Score(float(value), draws, resampling.tail)
    return scores


def carry_last(hz: Pitches, is_voiced: Bools, is_known: Bools) -> tuple[Pitches, Bools]:
    """The anchor: unknown frames repeat what was known last, or before that, what is known next.

    The pitch is that of the nearest known voiced frame, the voicing that of the nearest known
    frame. Nothing of an unknown frame is read.

    Returns:
        Pitch (N,), NaN in unknown frames if no voiced frame is known, and voicing (N,), False
        there if none is known at all.
    """
    pitch_source = _last_place(is_known & is_voiced)
    voicing_source = _last_place(is_known)
    carried_hz = np.full_like(hz, np.nan) if pitch_source is None else hz[pitch_source]
    carried_voicing = np.zeros_like(is_voiced) if voicing_source is None else is_voiced[voicing_source]
    return np.where(is_known, hz, carried_hz), np.where(is_known, is_voiced, carried_voicing)


def _last_place(is_there: Bools) -> NDArray[np.int64] | None:
    """The last place (N,) up to each frame where something is, or the first; None if there is none."""
    places = np.flatnonzero(is_there)
    if not len(places):
        return None
    return places[np.maximum(np.searchsorted(places, np.arange(len(is_there)), side="right") - 1, 0)]
