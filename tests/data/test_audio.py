"""A window that is read by seeking is the same slice of the whole decode, at any rate."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from audiorig.data.audio import read_info, read_window, resampled_length
from audiorig.errors import DataError

TARGET = 24000
RATES = (8000, 16000, 22050, 24000, 44100, 48000)


def noise_and_tone(num_samples: int, rate: int, channels: int) -> np.ndarray:
    """Broad-band, so that every error of a resampler or an offset shows; channels differ."""
    time = np.arange(num_samples)[:, None] / rate
    generator = np.random.default_rng(rate + channels)
    tone = 0.3 * np.sin(2 * np.pi * (440 + 100 * np.arange(channels)) * time)
    return (tone + 0.1 * generator.standard_normal((num_samples, channels))).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``{rate}-{channels}.wav`` and ``.flac``, 2.2 s and an odd number of samples each."""
    root = tmp_path_factory.mktemp("recordings")
    for rate in RATES:
        for channels in (1, 2):
            samples = noise_and_tone(int(2.2 * rate) + 13, rate, channels)
            for extension in ("wav", "flac"):
                soundfile.write(root / f"{rate}-{channels}.{extension}", samples, rate, subtype="PCM_16")
    return root


def whole_decode(path: Path, rate: int) -> np.ndarray:
    """The file in one piece, without any of the code that is tested."""
    samples, source_rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    decoded = mono if source_rate == rate else soxr.resample(mono, source_rate, rate)
    return decoded[: len(mono) * rate // source_rate]


@pytest.mark.parametrize("extension", ["wav", "flac"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
def test_a_window_equals_the_slice_of_the_whole_decode(
    recordings: Path, rate: int, channels: int, extension: str
) -> None:
    path = recordings / f"{rate}-{channels}.{extension}"
    whole = whole_decode(path, TARGET)
    assert len(whole) == resampled_length(soundfile.info(path).frames, rate, TARGET)
    for start in (0, 1, 147, 5000, 23456, len(whole) - 6000, len(whole) - 100, len(whole) - 1):
        window = read_window(path, start, 6000, TARGET)
        expected = whole[start : start + 6000]
        assert window.dtype == np.float32
        assert window.shape == expected.shape
        assert np.abs(window - expected).max() < 1e-6, start


@pytest.mark.parametrize("rate", RATES)
def test_minus_one_reads_all_that_is_left(recordings: Path, rate: int) -> None:
    path = recordings / f"{rate}-1.wav"
    whole = whole_decode(path, TARGET)
    assert np.abs(read_window(path, 0, -1, TARGET) - whole).max() < 1e-6
    assert np.abs(read_window(path, 30000, -1, TARGET) - whole[30000:]).max() < 1e-6


def test_neighbouring_windows_join_without_a_seam(recordings: Path) -> None:
    path = recordings / "44100-2.flac"
    joined = np.concatenate([read_window(path, start, 7000, TARGET) for start in range(0, 60000, 7000)])
    assert np.abs(joined - whole_decode(path, TARGET)[: len(joined)]).max() < 1e-6


@pytest.mark.parametrize("target", [16000, 24000, 44100])
@pytest.mark.parametrize("rate", RATES)
def test_a_pure_tone_keeps_its_frequency_and_level(tmp_path: Path, rate: int, target: int) -> None:
    """Fitted by a sine and a cosine of the true frequency, nothing of it is left over."""
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate), rate, subtype="FLOAT")
    window = read_window(tmp_path / "a.wav", target // 4, target // 2, target).astype(np.float64)
    time = (target // 4 + np.arange(target // 2)) / target
    waves = np.stack([np.sin(2 * np.pi * 1000 * time), np.cos(2 * np.pi * 1000 * time)], axis=1)
    amplitudes, *_ = np.linalg.lstsq(waves, window, rcond=None)
    assert amplitudes == pytest.approx([0.5, 0.0], abs=2e-4)  # no delay either
    assert np.sqrt(np.mean((window - waves @ amplitudes) ** 2)) < 1e-4


def test_what_lies_above_the_new_nyquist_frequency_is_gone(tmp_path: Path) -> None:
    time = np.arange(48000) / 48000
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 15000 * time), 48000, subtype="FLOAT")
    assert np.abs(read_window(tmp_path / "a.wav", 6000, 12000, TARGET)).max() < 1e-3


def test_channels_are_averaged(tmp_path: Path) -> None:
    left = np.full(1000, 0.5, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, -left / 2, left], axis=1), TARGET, subtype="FLOAT")
    assert np.allclose(read_window(tmp_path / "a.wav", 0, -1, TARGET), 0.25)


@pytest.mark.parametrize("rate", [16000, TARGET])
def test_a_window_ends_where_the_file_ends(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", 0.1 * np.ones(rate // 2), rate)
    assert len(read_window(tmp_path / "a.wav", 10000, 5000, TARGET)) == 2000
    assert len(read_window(tmp_path / "a.wav", 12000, 5000, TARGET)) == 0
    assert len(read_window(tmp_path / "a.wav", 99999, 5000, TARGET)) == 0
    assert len(read_window(tmp_path / "a.wav", 100, 0, TARGET)) == 0


@pytest.mark.parametrize(
    ("num_samples", "source", "target", "expected"),
    [
        (16000, 16000, 24000, 24000),
        (1, 16000, 24000, 1),
        (1, 44100, 24000, 0),
        (44100, 44100, 24000, 24000),
        (7, 8, 8, 7),
    ],
)
def test_lengths_are_rounded_down(num_samples: int, source: int, target: int, expected: int) -> None:
    assert resampled_length(num_samples, source, target) == expected


def test_header(recordings: Path) -> None:
    info = read_info(recordings / "44100-2.flac")
    assert (info.sample_rate_hz, info.channels, info.num_samples) == (44100, 2, int(2.2 * 44100) + 13)
    assert info.duration_sec == info.num_samples / 44100


# ------------------------------------------------------------------------ errors


def test_an_error_names_the_file_the_stretch_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(DataError, match=r"text\.wav: samples 10 to 30: Format not recognised$"):
        read_window(tmp_path / "text.wav", 10, 20, TARGET)
    with pytest.raises(DataError, match=r"text\.wav: Format not recognised$"):
        read_info(tmp_path / "text.wav")


def test_a_file_that_is_not_there_is_called_that(tmp_path: Path) -> None:
    for read in (lambda path: read_window(path, 0, 10, TARGET), read_info):
        with pytest.raises(DataError, match=r"absent\.wav.*[Nn]o such file"):
            read(tmp_path / "absent.wav")


def test_a_flac_that_was_cut_is_an_error_where_it_was_cut_and_not_before(recordings: Path, tmp_path: Path) -> None:
    raw = (recordings / "24000-1.flac").read_bytes()
    path = tmp_path / "cut.flac"
    path.write_bytes(raw[: len(raw) // 2])
    assert len(read_window(path, 0, 4000, TARGET)) == 4000
    with pytest.raises(DataError, match=r"cut\.flac: samples 48000 to 50000: .+"):
        read_window(path, 48000, 2000, TARGET)


def test_an_error_survives_the_way_out_of_a_worker_process(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    error = DataError("a.wav: gone")
    assert repr(pickle.loads(pickle.dumps(error))) == repr(error)
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        future = pool.submit(read_window, tmp_path / "text.wav", 0, 5, TARGET)
        with pytest.raises(DataError, match=r"text\.wav: samples 0 to 5: Format not recognised"):
            future.result(timeout=20)
