"""From a raw trace to what a network predicts: repaired, filtered, at the rate of its steps, and in two parts.

The order is: repair, low-pass, change of the rate, tonic and phasic part, crop. Everything in front of the crop sees
a minute more than the song, where the trace has it, so that no filter begins at the song's end.
"""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import butter, resample_poly, sosfiltfilt
from tqdm import tqdm

from audiorig.config import EdaConfig
from audiorig.data.eda.alignment import common_sec, num_steps
from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.eda.raw import RawTraces
from audiorig.data.eda.repair import Mask, Signal, bridge_gaps
from audiorig.data.eda.trace_store import Signals, write_traces

LOWPASS_ORDER = 4
TONIC_ORDER = 2
LARGEST_TERM = 2000  # of the ratio of two rates: a polyphase filter has 20 taps for each
CLOSE = 1e-7  # a ratio off by so much is late by 6 microseconds after a minute
STOP_ORDER = 8  # of the filter in front of a spline
BEYOND_SEC = 60.0  # a wrong clock may make a trace days long, and nothing so late matters to the song
PERIODS = 3  # of the slowest phasic wave that a trace should hold: 60 s at 0.05 Hz


def write_signals(
    index: pd.DataFrame, raw: RawTraces, settings: EdaConfig, rate_hz: float, output: Path
) -> Assumptions:
    """Filter all traces of a corpus.

    Args:
        index: rows of the traces, sorted by ``trace_id``; unreadable ones get no steps.
        rate_hz: steps a second.
        output: written: what ``TraceStore`` reads.

    Returns:
        What had to be assumed.
    """
    assumptions = Assumptions()
    rows = tqdm(index.to_dict("records"), desc="filter traces", unit="trace", mininterval=1)
    found = ((str(row["trace_id"]), _signals_of_row(row, raw, settings, rate_hz, assumptions)) for row in rows)
    write_traces(output, found, rate_hz)
    return assumptions


def _signals_of_row(
    row: dict, raw: RawTraces, settings: EdaConfig, rate_hz: float, assumptions: Assumptions
) -> Signals:
    if row["note"]:
        return Signals.all_lost(0)
    samples = raw.samples(row["trace_id"])
    source_rate_hz, start_sec = float(row["source_rate_hz"]), float(row["start_sec"])
    if not len(samples) or not 0 < source_rate_hz < math.inf:
        return Signals.all_lost(0)
    path = row["eda_path"]
    if settings.lowpass_hz >= source_rate_hz / 2:
        text = (
            f"lowpass_hz is {settings.lowpass_hz:g}, and traces of {source_rate_hz:g} Hz hold nothing from "
            f"{source_rate_hz / 2:g} Hz on: they are not filtered"
        )
        assumptions.assume("no-lowpass", text, path)
    if len(samples) / source_rate_hz * settings.highpass_hz < PERIODS:
        text = (
            f"traces below {PERIODS / settings.highpass_hz:g} s hold fewer than {PERIODS} periods of highpass_hz "
            f"({settings.highpass_hz:g} Hz): their tonic and phasic parts are told apart as well as that allows"
        )
        assumptions.assume("short-for-highpass", text, path)
    seconds = common_sec(
        *(len(samples), source_rate_hz, start_sec), float(row["audio_sec"]), float(row["play_duration_sec"])
    )
    samples = samples[: math.ceil(max(0.0, seconds - start_sec + BEYOND_SEC) * source_rate_hz)]
    return trace_signals(samples, source_rate_hz, rate_hz, settings, start_sec, num_steps(seconds, rate_hz))


def trace_signals(
    samples: NDArray[np.floating],
    source_rate_hz: float,
    rate_hz: float,
    settings: EdaConfig,
    start_sec: float = 0.0,
    steps: int | None = None,
) -> Signals:
    """The clean, the tonic and the phasic signal of a trace.

    Args:
        samples: (T,), what is not finite is missing.
        start_sec: when the first sample was taken, counted from the song's onset; taken to the nearest sample.
        steps: M; all that the trace has if None.

    Returns:
        Three signals (M,), NaN where nothing is known: in long gaps, and from the onset to the first sample of a trace
        that began late. The tonic one is that of the usual "highpass" method; the phasic one is what it leaves of the
        clean one, so that the two add up, where that method has a high-pass of its own, and they do not.
    """
    # Steps are counted from the onset; those that the trace has begin at the first one after its first sample.
    first_step = math.ceil(start_sec * rate_hz - 1e-6)
    samples = samples[round((first_step / rate_hz - start_sec) * source_rate_hz) :]
    if steps is None:
        steps = max(0, first_step + num_steps(len(samples) / source_rate_hz, rate_hz))
    filled, is_lost = bridge_gaps(samples, source_rate_hz, settings.max_gap_sec)
    if not len(filled):
        return Signals.all_lost(steps)
    if 0 < settings.lowpass_hz < source_rate_hz / 2:
        filled = lowpass(filled, source_rate_hz, settings.lowpass_hz, LOWPASS_ORDER)
    clean = change_rate(filled, source_rate_hz, rate_hz)
    # At 0.1 Hz and below nothing would be left of half a rate: the whole signal is tonic.
    is_slow = settings.highpass_hz >= rate_hz / 2
    tonic = clean if is_slow else lowpass(clean, rate_hz, settings.highpass_hz, TONIC_ORDER)
    is_known = ~_lost_steps(is_lost, source_rate_hz, rate_hz, len(clean))
    return Signals.of_parts(*(_cropped(part, is_known, first_step, steps) for part in (clean, tonic)))


def lowpass(signal: Signal, rate_hz: float, cutoff_hz: float, order: int) -> Signal:
    """Butterworth, forwards and backwards, so that nothing is late; its gain is -6 dB at the cutoff.

    Args:
        signal: (T,), of any length from 1 on; ends are mirrored about their value, as far as the signal reaches.
    """
    sos = butter(order, cutoff_hz, fs=rate_hz, output="sos")
    # scipy's own default; a shorter signal cannot be mirrored as far.
    reach = 3 * (2 * len(sos) + 1 - int(min((sos[:, 2] == 0).sum(), (sos[:, 5] == 0).sum())))
    filtered: Signal = sosfiltfilt(sos, signal, padlen=min(reach, len(signal) - 1))
    return filtered


def change_rate(signal: Signal, source_rate_hz: float, rate_hz: float) -> Signal:
    """A signal at another rate, sample k at k / rate_hz; a constant stays what it is up to its very ends.

    A polyphase filter, over what remains when the line from the first to the last sample is taken away: with zeros
    beyond the ends of the signal itself, a constant of 5 falls to 2.7 there, and scipy's own ``padtype="line"`` leaves
    a ripple of 1e-5, since the branches of the filter do not add up to the same. Where the ratio of the rates is no
    fraction of moderate terms, a Butterworth filter (order 8, at 0.4 of the lower rate) and a cubic spline.

    Returns:
        All steps that begin before the signal ends; behind the last sample the line goes on, or the spline's end holds.
    """
    ratio = rate_hz / source_rate_hz
    length = math.ceil(len(signal) * ratio - 1e-6)
    if len(signal) == 1:
        return np.full(length, signal[0])
    if math.isclose(ratio, 1.0, rel_tol=CLOSE):
        return signal.copy()
    fraction = Fraction(ratio).limit_denominator(LARGEST_TERM)
    if 0 < fraction.numerator <= LARGEST_TERM and abs(float(fraction) / ratio - 1) < CLOSE:
        slope = (signal[-1] - signal[0]) / (len(signal) - 1)
        rest = signal - signal[0] - slope * np.arange(len(signal))
        changed: Signal = resample_poly(rest, fraction.numerator, fraction.denominator)[:length]
        return changed + signal[0] + slope / ratio * np.arange(len(changed))  # by the fraction, it may be one step less
    if ratio < 1:
        signal = lowpass(signal, source_rate_hz, 0.4 * rate_hz, STOP_ORDER)
    spline = CubicSpline(np.arange(len(signal)), signal)
    return np.asarray(spline(np.minimum(np.arange(length) / ratio, len(signal) - 1)), np.float64)


def _lost_steps(is_lost: Mask, source_rate_hz: float, rate_hz: float, length: int) -> Mask:
    """Steps at which one of the samples on either side is lost."""
    places = np.arange(length) * (source_rate_hz / rate_hz)
    left = np.minimum(np.floor(places + 1e-6).astype(np.int64), len(is_lost) - 1)
    right = np.minimum(np.ceil(places - 1e-6).astype(np.int64), len(is_lost) - 1)
    lost: Mask = is_lost[left] | is_lost[right]
    return lost


def _cropped(signal: Signal, is_known: Mask, first_step: int, steps: int) -> Signal:
    """Steps 0 to M of a signal that begins at ``first_step``; NaN where nothing is known, and beyond its ends."""
    cropped = np.full(steps, np.nan)
    begin, stop = max(0, first_step), max(0, min(steps, first_step + len(signal)))
    inside = slice(begin - first_step, max(begin, stop) - first_step)
    cropped[begin:stop] = np.where(is_known, signal, np.nan)[inside]
    return cropped
