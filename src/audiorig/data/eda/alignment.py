"""The one clock of a song, its coefficients and its listeners' traces.

Time is counted from the song's onset. Step k of a trace covers [k / rate, (k + 1) / rate) seconds, and its value is
the trace's at k / rate. Frame k of the coefficients is centred at k * hop / sample rate and sees half a window on
either side, a bit of the future among it: 23 ms of 2,048 samples at 44.1 kHz. So the R frames of step k are those
centred at k / rate, ..., k / rate + (R - 1) / (R * rate), and a click at time t is loudest in the frame whose centre
is nearest, which is one of step floor(t * rate) unless t lies in the last half hop of that step.
"""

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from audiorig.data.eda.assumptions import AssumptionWarning
from audiorig.errors import DataError

Floats = NDArray[np.float32]

ROUNDING = 1e-6  # of a step: 0.29 s at 100 Hz is step 29, though 0.29 * 100 is less than that in binary
HELD_SEC = 0.25  # the last frame is held for so long: an MP3's header may promise a little more than there is


def step_of(time_sec: float, rate_hz: float) -> int:
    """The step that an event belongs to: floor(t * rate)."""
    return math.floor(time_sec * rate_hz + ROUNDING)


def num_steps(duration_sec: float, rate_hz: float) -> int:
    """Steps M that end within a duration; none of a negative one."""
    return max(0, math.floor(duration_sec * rate_hz + ROUNDING))


def common_sec(
    num_samples: int,
    source_rate_hz: float,
    start_sec: float = 0.0,
    audio_sec: float = math.nan,
    play_duration_sec: float = math.nan,
) -> float:
    """Seconds from the song's onset to where the trace ends, or the song that was heard.

    Args:
        num_samples: length T of the trace.
        start_sec: when its first sample was taken; negative if before the onset.
        audio_sec: length of the song; NaN if nobody knows.
        play_duration_sec: for how long it was played; NaN if nobody knows.
    """
    ends = (start_sec + num_samples / source_rate_hz, audio_sec, play_duration_sec)
    return max(0.0, min(end for end in ends if not math.isnan(end)))


def align_frames(mfcc: Floats, native_rate_hz: float, rate_hz: float, frames_per_step: int, num_steps: int) -> Floats:
    """The frames of the first M steps, R for each.

    Where the frames of a step are R as they are, they are taken as they are. Where not, a step is given R places,
    evenly spaced, and the coefficients are interpolated linearly between the centres on either side.

    Args:
        mfcc: (N', C), frame k centred at k / native_rate_hz.
        rate_hz: steps a second.
        frames_per_step: R.
        num_steps: M.

    Returns:
        (M * R, C); the last frame is held where the audio ends up to 0.25 s early.

    Raises:
        DataError: if it ends earlier than that.
    """
    needed = num_steps * frames_per_step
    places_hz = rate_hz * frames_per_step
    is_exact = math.isclose(native_rate_hz, places_hz, rel_tol=1e-9)
    if not is_exact:
        warnings.warn(
            f"{native_rate_hz:g} frames of audio a second are no whole multiple of {rate_hz:g} steps: they are "
            f"interpolated to {frames_per_step} a step [interpolated-frames]",
            AssumptionWarning,
            stacklevel=2,
        )
    if needed == 0:
        return np.zeros((0, mfcc.shape[1]), np.float32)
    _check_length(len(mfcc), native_rate_hz, (needed - 1) / places_hz)
    if is_exact:
        return mfcc[np.minimum(np.arange(needed), len(mfcc) - 1)]
    places = np.minimum(np.arange(needed) * (native_rate_hz / places_hz), len(mfcc) - 1)
    left = np.minimum(places.astype(np.int64), max(0, len(mfcc) - 2))
    right = np.minimum(left + 1, len(mfcc) - 1)
    share = (places - left).astype(np.float32)[:, None]
    return mfcc[left] + share * (mfcc[right] - mfcc[left])  # of equal neighbours exactly the same


def _check_length(num_frames: int, native_rate_hz: float, last_sec: float) -> None:
    if num_frames == 0 or (num_frames - 1) / native_rate_hz < last_sec - HELD_SEC:
        raise DataError(
            f"expected audio up to {last_sec:.2f} s, as its header and the traces say, found {num_frames} frames of "
            f"{1 / native_rate_hz:.4g} s: the file cannot be read, or was changed; delete the features of the corpus, "
            "and run again"
        )
