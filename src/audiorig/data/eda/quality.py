"""What is wrong with each trace, and which ones can be learnt from.

Every trace is looked at once; nothing is changed, nothing is lost silently. What each flag means:

- unreadable: the file gave no numbers; ``note`` of the index says why. Nothing else is said of its samples.
- empty: no sample is a number. Nothing else is said of them.
- non_finite: too large a share of samples is no number.
- dead: for most of the time the value stays exactly what it is for 4 s or more, so a trace of a few long plateaus is
  one. (Single steps say nothing: at 50 Hz, a fine converter repeats most values of a living skin.)
- quantised: too few different values, and not dead. A trace of n samples is asked for n / 4 at most: 20 s of a wrist
  sensor at 4 Hz, in steps of 0.001 microsiemens, are 80 samples and pass with 20 values. A skin that moved by less
  than 32 such steps in 40 s does not pass: the sensor's noise is as large.
- end_jump: within the first or the last second lies a step of more than so many robust deviations of all steps. That
  deviation is the larger of two, both those of normal noise: 1.4826 times the median of |step|, and the largest |step|
  but for 1 % of them (4 at least), over what normal noise has there. The second knows the rises of responses, and
  traces whose converter repeats values. A dead trace has no end_jump.
- out_of_range: the median is no conductance of skin in microsiemens.
- rate_mismatch: by its rate, or the times of its file, the trace lasts twice, three times, ... as long as what was
  heard, or, of a known play duration, half, a third, ...
- length_gap: it ends at another time than what was heard (and is no rate_mismatch), or was heard for longer than
  there is audio. What was heard is the play duration where it is known, else the audio.
- duplicate: the same listener, song and take, or the very same samples, are there once more, earlier in the index.
- missing_audio, invalid_audio: the song is not there, or validation found an error in it.
- too_short: trace and audio have too few seconds in common.
"""

import hashlib
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import NormalDist
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiorig.config import TraceChecksConfig, TraceFlag
from audiorig.data.eda.alignment import common_sec
from audiorig.data.eda.raw import RawTraces
from audiorig.errors import DataError
from audiorig.files import write_text

FLAGS: tuple[TraceFlag, ...] = get_args(TraceFlag)
FLAT_SEC = 4.0  # of no change at all; responses come and decay in less
END_SEC = 1.0
SAMPLES_A_LEVEL = 4
MULTIPLE = 0.02  # a length is n times another if it is so near to it
KEY = ["dataset", "song_id", "participant_id", "take"]
NUMBERS: dict[str, str] = {
    "num_levels": "int64",
    "flat_share": "float64",
    "end_jump_sd": "float64",
    "missing_share": "float64",
    "median": "float64",
    "seconds": "float64",
    "gap_sec": "float64",
}

Samples = NDArray[np.float64]
Row = Mapping[Any, Any]


def check_traces(
    index: pd.DataFrame, raw: RawTraces, invalid: Collection[str], checks: TraceChecksConfig
) -> pd.DataFrame:
    """Look at every trace of a corpus.

    Args:
        index: a row for each trace.
        invalid: ``wav_path`` of songs in which validation found an error.

    Returns:
        A row for each trace, in the order of the index: trace_id, a bool column for each flag, the numbers that the
        flags go by (NaN where there are none), and is_kept: none of the flags in ``checks.exclude``.
    """
    digests: dict[str, str] = {}
    rows = [_checked(row, raw, invalid, checks, digests) for row in index.to_dict("records")]
    columns = ["trace_id", *FLAGS, *NUMBERS]
    table = pd.DataFrame(rows, columns=columns).astype(NUMBERS | dict.fromkeys(FLAGS, "bool"))
    table["duplicate"] |= index.duplicated(KEY, keep="first").to_numpy()
    table["is_kept"] = ~table[list(checks.exclude)].any(axis=1) if checks.exclude else True
    return table


def _checked(
    row: Row, raw: RawTraces, invalid: Collection[str], checks: TraceChecksConfig, digests: dict[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(FLAGS, False) | dict.fromkeys(NUMBERS, math.nan)
    found |= {"trace_id": row["trace_id"], "num_levels": 0}
    found["missing_audio"] = not row["wav_path"]
    found["invalid_audio"] = row["wav_path"] in invalid
    if row["note"]:
        return found | {"unreadable": True}
    rate_hz = float(row["source_rate_hz"])
    samples = raw.samples(row["trace_id"]).astype(np.float64)
    samples[~np.isfinite(samples)] = math.nan
    found["missing_share"] = float(np.isnan(samples).mean()) if len(samples) else 1.0
    if found["missing_share"] == 1:
        return found | {"empty": True}
    if not 0 < rate_hz < math.inf:
        return found | {"rate_mismatch": True}
    found |= _values(samples, rate_hz, checks)
    found |= _lengths(row, len(samples), rate_hz, checks)
    found["duplicate"] = not found["dead"] and _is_known(samples, row["trace_id"], digests)
    found["non_finite"] = found["missing_share"] > checks.max_missing_share
    return found


def _values(samples: Samples, rate_hz: float, checks: TraceChecksConfig) -> dict[str, Any]:
    """What the values themselves say."""
    known = samples[~np.isnan(samples)]
    num_levels, median = len(np.unique(known)), float(np.median(known))
    flat, jump = flat_share(known, rate_hz), end_jump_sd(samples, rate_hz)
    is_dead = flat > checks.max_flat_share
    return {
        "num_levels": num_levels,
        "flat_share": flat,
        "end_jump_sd": jump,
        "median": median,
        "dead": is_dead,
        "quantised": not is_dead and num_levels < min(checks.min_levels, len(known) / SAMPLES_A_LEVEL),
        "end_jump": not is_dead and jump > checks.end_jump_sd,
        "out_of_range": not checks.min_microsiemens <= median <= checks.max_microsiemens,
    }


def flat_share(known: Samples, rate_hz: float) -> float:
    """Share of steps that lie in stretches of 4 s and more (half the trace, if that is less) without any change."""
    steps = np.diff(known)
    if not len(steps):
        return 1.0
    edges = np.flatnonzero(np.diff((steps == 0).astype(np.int8), prepend=0, append=0))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= min(FLAT_SEC * rate_hz, len(steps) / 2)].sum() / len(steps))


def end_jump_sd(samples: Samples, rate_hz: float) -> float:
    """The largest step of the first and the last second, in robust deviations of all steps; 0 if there is none."""
    steps = np.abs(np.diff(samples))
    is_known = ~np.isnan(steps)
    if not is_known.any():
        return 0.0
    usual = np.sort(steps[is_known])
    num_largest = min(max(4, len(usual) // 100), len(usual) // 2)
    below = NormalDist().inv_cdf(1 - (num_largest + 0.5) / (2 * len(usual)))
    deviation = max(1.4826 * float(np.median(usual)), float(usual[-1 - num_largest]) / below)
    if deviation == 0:  # nothing moves but for a few steps: the smallest of them is the unit
        deviation = float(usual[usual > 0].min(initial=math.inf))
    width = max(1, round(END_SEC * rate_hz))
    ends = np.concatenate([steps[:width], steps[-width:]])
    return float(np.nanmax(ends, initial=0.0) / deviation)


def _lengths(row: Row, num_samples: int, rate_hz: float, checks: TraceChecksConfig) -> dict[str, Any]:
    """What the lengths of trace, audio and play say of each other."""
    start, audio, played = (float(row[name]) for name in ("start_sec", "audio_sec", "play_duration_sec"))
    seconds = num_samples / rate_hz
    heard = audio if math.isnan(played) else played
    gap = start + seconds - heard
    if not math.isnan(played) and played - audio > checks.max_length_gap_sec:  # the audio is of another song
        gap = max(gap, played - audio, key=abs)
    is_gap = abs(gap) > checks.max_length_gap_sec
    ratio = seconds / heard if heard > 0 else math.nan
    is_multiple = is_gap and (_is_multiple(ratio) or (not math.isnan(played) and _is_multiple(1 / ratio)))
    return {
        "seconds": seconds,
        "gap_sec": gap,
        "rate_mismatch": is_multiple,
        "length_gap": is_gap and not is_multiple,
        "too_short": common_sec(num_samples, rate_hz, start, audio, played) - max(0.0, start) < checks.min_sec,
    }


def _is_multiple(ratio: float) -> bool:
    """Whether a number is 2, 3, ...; NaN is not."""
    return ratio > 1.5 and abs(ratio / round(ratio) - 1) < MULTIPLE


def _is_known(samples: Samples, trace_id: str, digests: dict[str, str]) -> bool:
    """Whether an earlier trace has the very same samples."""
    digest = hashlib.sha256(samples.tobytes()).hexdigest()
    return digests.setdefault(digest, trace_id) != trace_id


# ------------------------------------------------------------------------------ what is told


def summarize_quality(index: pd.DataFrame, quality: pd.DataFrame, exclude: Collection[TraceFlag]) -> dict[str, Any]:
    """Counts for people and for the report, of all datasets and of each; songs and subjects are those of kept traces.

    Args:
        index, quality: a row for each trace, in the same order.
        exclude: flags that left a trace out: the report says which those are.
    """
    names = index["dataset"].to_numpy()
    datasets = {name: _counts(index[names == name], quality[names == name]) for name in sorted(set(names))}
    return _counts(index, quality) | {"exclude": list(exclude), "datasets": datasets}


def _counts(index: pd.DataFrame, quality: pd.DataFrame) -> dict[str, Any]:
    is_kept = quality["is_kept"].to_numpy()
    kept = index[is_kept]
    return {
        "num_traces": len(index),
        "num_kept": len(kept),
        "num_songs": int(kept["song_id"].nunique()),
        "num_subjects": int(kept["participant_id"].nunique()),
        "hours_kept": round(float(quality.loc[is_kept, "seconds"].sum()) / 3600, 4),
        "flags": {flag: int(quality[flag].sum()) for flag in FLAGS},
    }


def require_traces(quality: pd.DataFrame, corpus: str) -> None:
    """Stop if nothing is left.

    Raises:
        DataError: with what was flagged, and how often.
    """
    if quality["is_kept"].any():
        return
    counts = ", ".join(f"{quality[flag].sum()} {flag}" for flag in FLAGS if quality[flag].any())
    raise DataError(
        f"corpus {corpus!r}: of {len(quality)} traces none is left to learn from: {counts or 'there are none'}; "
        f"expected one or more without these: look at the files, or change corpora.{corpus}.checks"
    )


def write_excluded(quality: pd.DataFrame, path: Path) -> None:
    """Write a CSV of the traces that are left out: trace_id, and all of a trace's flags, joined by ``;``."""
    left_out = quality[~quality["is_kept"]]
    flags = [";".join(flag for flag in FLAGS if row[flag]) for _, row in left_out.iterrows()]
    write_text(path, pd.DataFrame({"trace_id": left_out["trace_id"].to_numpy(), "flags": flags}).to_csv(index=False))
