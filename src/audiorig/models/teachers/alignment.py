"""Features of a teacher, read where a student's latents lie."""

import numpy as np
from numpy.typing import NDArray

from audiorig.errors import DataError

# Frame j of W2V-BERT stacks two filterbank windows of 25 ms, 10 ms apart: its centre is at 20 j + 17.5 ms.
FRAME_STEP_SEC = 0.02
FIRST_CENTRE_SEC = 0.0175


def latent_centres(start_sample: int, num_latents: int, stride: int, hop: int) -> NDArray[np.float64]:
    """Sample (N,) of a recording on which each latent of a crop is centred.

    Args:
        start_sample: where the crop begins; STFT frame n is centred on sample ``start + n * hop``.
        stride: frames of a latent.
    """
    return start_sample + (np.arange(num_latents, dtype=np.float64) * stride + (stride - 1) / 2) * hop


def at_latents(
    features: NDArray[np.floating], start_sample: int, num_latents: int, stride: int, hop: int, rate_hz: int
) -> NDArray[np.float32]:
    """Features at the centres of a crop's latents, linear between the two nearest frames.

    Before the first frame's centre and after the last's, that frame's features hold.

    Args:
        features: (J, K) of the whole recording, 50 frames a second; may be mapped from a file, of
            which only the crop's rows are read.
        start_sample: where the crop begins in the recording.
        num_latents: N.
        stride: STFT frames of a latent.
        hop: samples from frame to frame.
        rate_hz: rate that ``start_sample`` and ``hop`` are counted at.

    Returns:
        float32 (N, K).

    Raises:
        DataError: if there is no frame at all.
    """
    if len(features) == 0:
        raise DataError("the recording has no teacher features: expected at least one frame; it is too short for them")
    seconds = latent_centres(start_sample, num_latents, stride, hop) / rate_hz
    places = ((seconds - FIRST_CENTRE_SEC) / FRAME_STEP_SEC).clip(0, len(features) - 1)
    below = places.astype(np.int64)
    above = np.minimum(below + 1, len(features) - 1)
    first = below.min(initial=len(features))
    rows = np.asarray(features[first : above.max(initial=0) + 1], dtype=np.float32)
    share = (places - below).astype(np.float32)[:, None]
    return rows[below - first] * (1 - share) + rows[above - first] * share
