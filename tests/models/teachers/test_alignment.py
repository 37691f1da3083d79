"""Teacher frames and student latents on one clock."""

from pathlib import Path

import numpy as np
import pytest

from audiorig.errors import DataError
from audiorig.models.teachers.alignment import at_latents, latent_centres

HOP, RATE = 256, 24000


def seconds_ramp(num_frames: int) -> np.ndarray:
    """Features whose value is the time of the frame's centre, and ten times that, (J, 2)."""
    seconds = 0.02 * np.arange(num_frames) + 0.0175
    return np.stack([seconds, 10 * seconds], axis=1).astype(np.float32)


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("start", [24000, 100_003, 7777])
def test_a_ramp_of_time_gives_the_time_of_each_latent(stride: int, start: int) -> None:
    found = at_latents(seconds_ramp(400), start, 40, stride, HOP, RATE)
    expected = (start + (np.arange(40) * stride + (stride - 1) / 2) * HOP) / RATE
    assert found.shape == (40, 2) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(found[:, 1], 10 * expected, atol=1e-5 * 10)


def test_stride_4_lies_where_arithmetic_puts_it() -> None:
    """Latent i at 42.667 i + 16 ms is frame 2.1333 i - 0.075."""
    places = np.arange(60, dtype=np.float32)[:, None]
    found = at_latents(places, 0, 20, 4, HOP, RATE)[:, 0]
    np.testing.assert_allclose(found[1:], 32 / 15 * np.arange(1, 20) - 0.075, atol=1e-5)
    assert found[0] == 0  # before the first frame's centre
    np.testing.assert_allclose(latent_centres(0, 3, 4, HOP) / RATE * 1000, [16, 58.6667, 101.3333], atol=1e-3)


def test_edges_are_held() -> None:
    features = np.array([[1.0], [2.0], [5.0]])
    found = at_latents(features, 24000, 3, 2, HOP, RATE)
    assert found.tolist() == [[5.0], [5.0], [5.0]]
    assert at_latents(features[:1], 0, 2, 2, HOP, RATE).tolist() == [[1.0], [1.0]]


def test_a_later_start_reads_the_same_signal() -> None:
    """A crop that begins four latents later has the features of latents 4, 5, ..."""
    features = np.random.default_rng(0).standard_normal((100, 3)).astype(np.float16)
    whole = at_latents(features, 0, 30, 2, HOP, RATE)
    later = at_latents(features, 4 * 2 * HOP, 26, 2, HOP, RATE)
    np.testing.assert_allclose(later, whole[4:], atol=1e-5)


def test_a_mapped_file_is_read_in_part(tmp_path: Path) -> None:
    features = np.random.default_rng(0).standard_normal((1000, 4)).astype(np.float16)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        at_latents(mapped, 90_000, 10, 4, HOP, RATE), at_latents(features, 90_000, 10, 4, HOP, RATE)
    )
    assert at_latents(mapped, 90_000, 0, 4, HOP, RATE).shape == (0, 4)


def test_no_frames_is_an_error() -> None:
    with pytest.raises(DataError, match="at least one frame"):
        at_latents(np.zeros((0, 4)), 0, 3, 2, HOP, RATE)
