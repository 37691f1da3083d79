"""Standardising teacher features and turning them to their principal axes."""

from pathlib import Path

import numpy as np
import pytest

from audiorig.errors import DataError
from audiorig.models.teachers.reduction import Reduction, fit_statistics

AXES = np.linalg.qr(np.random.default_rng(7).standard_normal((6, 6)))[0]


def recordings(num_frames: int = 4000, offset: float = 0.0) -> list[np.ndarray]:
    """Six dimensions that two hidden ones explain, but for a little noise; in pieces of unequal length."""
    generator = np.random.default_rng(0)
    hidden = generator.standard_normal((num_frames, 2)) * [3, 2]
    features = hidden @ AXES[:2] * [1, 2, 3, 4, 5, 6] + 0.01 * generator.standard_normal((num_frames, 6))
    return np.split((features + offset).astype(np.float32), [100, 1500, 1501])


def test_statistics_are_those_of_all_frames() -> None:
    pieces = recordings(offset=50)
    together = np.concatenate(pieces).astype(np.float64)
    reduction = fit_statistics(iter(pieces), num_components=None)
    np.testing.assert_allclose(reduction.mean, together.mean(0), rtol=1e-6)
    np.testing.assert_allclose(reduction.std, together.std(0), rtol=1e-6)
    assert reduction.num_features == 6 and reduction.explained == 1
    reduced = reduction.reduce(pieces[1])
    assert reduced.dtype == np.float16 and reduced.shape == (1400, 6)
    np.testing.assert_allclose(reduced, (pieces[1] - together.mean(0)) / together.std(0), atol=4e-3)


def test_two_axes_explain_what_two_variables_made() -> None:
    pieces = recordings()
    reduction = fit_statistics(pieces, num_components=2)
    assert reduction.num_features == 2 and reduction.explained > 0.99
    reduced = np.concatenate([reduction.reduce(each) for each in pieces]).astype(np.float64)
    np.testing.assert_allclose(reduced.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(reduced.T), np.eye(2), atol=5e-3)
    # Two numbers give the six back.
    back = (reduced * reduction.scale) @ reduction.components * reduction.std + reduction.mean
    together = np.concatenate(pieces)
    assert np.abs(back - together).mean() < 0.03 * together.std()


def test_axes_are_those_of_a_plain_decomposition_with_a_fixed_sign() -> None:
    pieces = recordings()
    reduction = fit_statistics(pieces, num_components=3)
    variances, vectors = np.linalg.eigh(np.corrcoef(np.concatenate(pieces).T.astype(np.float64)))
    for index in range(3):
        cosine = reduction.components[index] @ vectors[:, -1 - index]
        assert abs(abs(cosine) - 1) < 1e-5
        assert reduction.components[index][np.abs(reduction.components[index]).argmax()] > 0
    np.testing.assert_allclose(reduction.scale**2, variances[::-1][:3], rtol=1e-3, atol=1e-6)


def test_a_dimension_far_from_0_keeps_its_variance() -> None:
    """W2V-BERT has such dimensions; sums of squares about 0 would lose theirs to rounding."""
    near, far = fit_statistics(recordings(), 2), fit_statistics(recordings(offset=1000), 2)
    np.testing.assert_allclose(far.std, near.std, rtol=1e-4)


def test_axes_without_variance_give_0_and_not_noise() -> None:
    generator = np.random.default_rng(0)
    exact = (generator.standard_normal((500, 2)) @ AXES[:2]).astype(np.float32)
    reduction = fit_statistics([exact], num_components=5)
    assert np.abs(reduction.reduce(exact)[:, 2:].astype(np.float32)).max() < 0.05


def test_it_is_saved_whole(tmp_path: Path) -> None:
    reduction = fit_statistics(recordings(), 2)
    reduction.save(tmp_path / "reduction.safetensors")
    loaded = Reduction.load(tmp_path / "reduction.safetensors")
    np.testing.assert_array_equal(loaded.reduce(recordings()[0]), reduction.reduce(recordings()[0]))
    assert loaded.explained == reduction.explained


def test_what_cannot_be_fitted_is_an_error() -> None:
    with pytest.raises(DataError, match="0 frames"):
        fit_statistics([])
    with pytest.raises(DataError, match="3 frames of teacher features: expected more than the 5"):
        fit_statistics([np.ones((3, 6), np.float32)], 5)
    with pytest.raises(DataError, match="at most 6"):
        fit_statistics(recordings(), 7)
    constant = np.concatenate(recordings())
    constant[:, 4] = 2
    with pytest.raises(DataError, match="dimension 4"):
        fit_statistics([constant], 2)
