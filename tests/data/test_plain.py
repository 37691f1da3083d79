"""Mixing channels: the same bits whether samples come as they are stored or as float32."""

import numpy as np
import pytest

from audiorig.data.plain import mix_down

EXTREMES = np.array([-32768, 32767, 0, -1, 1, 12345], np.int16)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_16_bits_and_float_mix_to_the_same_bits(channels: int) -> None:
    generator = np.random.default_rng(channels)
    stored = generator.integers(-32768, 32768, (5000, channels)).astype(np.int16)
    stored[:36] = np.stack(np.meshgrid(EXTREMES, EXTREMES), -1).reshape(36, 2)[:, np.arange(channels) % 2]
    floats = (stored / 32768).astype(np.float32)
    assert mix_down(stored).tobytes() == mix_down(floats).tobytes()
    assert np.allclose(mix_down(stored), floats.mean(axis=1, dtype=np.float64), atol=1e-7)
    assert mix_down(stored).dtype == np.float32


def test_samples_that_do_not_lie_side_by_side() -> None:
    stored = np.random.default_rng(0).integers(-32768, 32768, (300, 2)).astype(np.int16)
    expected = mix_down(stored.copy())
    assert np.array_equal(mix_down(np.asfortranarray(stored)), expected)
    assert np.array_equal(mix_down(stored[::2]), expected[::2])
    assert np.array_equal(mix_down(stored[17:]), expected[17:])
    assert mix_down(stored[:0]).shape == (0,)
