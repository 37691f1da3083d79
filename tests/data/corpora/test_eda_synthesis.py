"""Generated skin and music: when and how strongly a response comes, and what a share is a share of."""

import hashlib

import numpy as np
import pytest
import scipy.signal

from audiorig.data.corpora import eda_synthesis, song_synthesis
from audiorig.data.corpora.eda_synthesis import RATE_HZ, RISE_SEC, Listener, render_trace, responses, strengths
from audiorig.data.corpora.song_synthesis import SAMPLE_RATE_HZ, Accent, Song, draw_accents, render_song
from audiorig.randomness import keyed_generator

LISTENER = Listener("100001", latency_sec=0.0, decay_sec=3.0, level=5.0, gain=0.2, drift=1.0)
# SHA-256 of the 16-bit samples of the piece below.
PIECE = Song("7", 12.0, 2, (Accent(4.0, 1.0, 0.4, "noise"), Accent(8.0, 0.5, 0.5, "chord")))
PIECE_SHA256 = "71cf2ea237fa3f965e1e75c0028d4f1d99c02419763762a7965d3f26a8c4cb58"


def accents(*at: tuple[float, float]) -> list[Accent]:
    return [Accent(time_sec, loudness, 0.4, "noise") for time_sec, loudness in at]


# ------------------------------------------------------------------------ skin


def test_a_response_begins_at_its_onset_and_peaks_at_its_strength() -> None:
    found = responses(np.array([10.0]), np.array([0.7]), 3000, 3.0)
    assert (found[: round(10 * RATE_HZ) + 1] == 0).all()
    assert found[round(10 * RATE_HZ) + 1] > 0
    assert found.max() == pytest.approx(0.7, rel=1e-4)
    peak_sec = np.log(3.0 / RISE_SEC) / (1 / RISE_SEC - 1 / 3.0)
    assert found.argmax() / RATE_HZ == pytest.approx(10 + peak_sec, abs=1 / RATE_HZ)
    late = found[round(25 * RATE_HZ) :]
    assert np.allclose(late[50:] / late[:-50], np.exp(-1 / 3.0), rtol=1e-4)  # of a second


def test_responses_add_up() -> None:
    both = responses(np.array([2.0, 5.5]), np.array([0.5, 1.0]), 1000, 2.5)
    alone = [responses(np.array([at]), np.array([strong]), 1000, 2.5) for at, strong in ((2.0, 0.5), (5.5, 1.0))]
    assert np.allclose(both, sum(alone))
    assert (responses(np.zeros(0), np.zeros(0), 100, 3.0) == 0).all()


def test_loud_accents_are_answered_more_but_not_in_proportion() -> None:
    loudness = np.array([0.1, 0.2, 0.4, 0.8])
    alone = np.array([strengths(accents((5.0, each)))[0] for each in loudness])
    assert (np.diff(alone) > 0).all()
    assert (np.diff(alone / loudness) < 0).all()


def test_what_was_just_answered_weakens_what_follows_and_is_forgotten() -> None:
    gaps = (0.8, 3.0, 10.0, 60.0)
    second = [strengths(accents((5.0, 1.0), (5.0 + gap, 1.0)))[1] for gap in gaps]
    assert second == sorted(second)
    assert second[0] < 0.5
    assert second[-1] == pytest.approx(1.0, abs=0.001)
    after_soft = strengths(accents((5.0, 0.1), (6.0, 1.0)))[1]
    assert after_soft > strengths(accents((5.0, 1.0), (6.0, 1.0)))[1]
    assert strengths([]).shape == (0,)


def test_the_skin_answers_an_accent_its_latency_late() -> None:
    for latency in (0.0, 1.8, 3.0):
        generator = keyed_generator("test", 0)
        trace = render_trace(accents((6.0, 1.0)), 20.0, LISTENER, latency, 1.0, generator)
        assert trace.latency_sec == pytest.approx(latency, abs=0.4)
        onset = 6.0 + trace.latency_sec
        assert np.flatnonzero(trace.music)[0] / RATE_HZ == pytest.approx(onset, abs=0.021)
        assert (trace.private == 0).all()
        assert len(trace.samples) == round((20 + 0.14) * RATE_HZ)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_a_share_is_one_of_variance(share: float) -> None:
    music, private = 0.0, 0.0
    for number in range(150):
        generator = keyed_generator("test-share", number)
        listener = eda_synthesis.draw_listener(0, str(number % 20))
        trace = render_trace(draw_accents(40.0, generator), 40.0, listener, 1.8, share, generator)
        music += float(trace.music.var()) / listener.gain**2
        private += float(trace.private.var()) / listener.gain**2
    assert music / (music + private) == pytest.approx(share, abs=0.05)
    assert (music + private) / 150 == pytest.approx(1.0, abs=0.15)


def test_listeners_are_the_same_again_and_differ_from_each_other() -> None:
    drawn = [eda_synthesis.draw_listener(0, str(number)) for number in range(300)]
    assert drawn[5] == eda_synthesis.draw_listener(0, "5")
    assert drawn[5] != eda_synthesis.draw_listener(1, "5")
    assert all(2.0 <= each.decay_sec <= 4.0 and 2.5 <= each.level <= 9.0 for each in drawn)
    assert np.std([each.latency_sec for each in drawn]) == pytest.approx(0.15, abs=0.02)


# ------------------------------------------------------------------------ music


def test_accents_keep_their_distance_and_leave_the_ends_free() -> None:
    counts = []
    for number in range(100):
        drawn = draw_accents(40.0, keyed_generator("test-accents", number))
        times = np.array([accent.time_sec for accent in drawn])
        counts.append(len(times))
        assert (np.diff(times) > 0.79).all()
        assert times.min(initial=10) > 1
        assert times.max(initial=0) < 39
        assert all(0 <= accent.loudness <= 1 for accent in drawn)
    assert 10 < np.mean(counts) < 14


def test_a_piece_has_known_samples_and_depends_on_nothing_else() -> None:
    samples = render_song(PIECE, 0)
    assert samples.dtype == np.int16
    assert samples.shape == (12 * SAMPLE_RATE_HZ, 2)
    assert 0.39 < np.abs(samples.astype(int)).max() / 32768 < 0.96
    assert hashlib.sha256(samples.tobytes()).hexdigest() == PIECE_SHA256
    assert not np.array_equal(samples, render_song(PIECE, 1))
    assert not np.array_equal(samples, render_song(PIECE._replace(music_id="8"), 0))
    assert not np.array_equal(samples[:, 0], samples[:, 1])


def test_an_accent_is_heard_when_and_as_loud_as_it_was_planned() -> None:
    quiet = PIECE._replace(channels=1, accents=())
    loud, soft = (quiet._replace(accents=(Accent(5.0, each, 0.4, "noise"),)) for each in (1.0, 0.4))
    high = scipy.signal.butter(4, 8000, "highpass", fs=SAMPLE_RATE_HZ, output="sos")  # where chords have nothing
    energy = {}
    for song in (loud, soft):
        samples = render_song(song, 0)[:, 0].astype(float)
        power = scipy.signal.sosfilt(high, samples)[: len(samples) // 441 * 441] ** 2
        frames = power.reshape(-1, 441).mean(1)
        hiss = np.median(frames[:490])
        assert abs(int(np.flatnonzero(frames > 20 * hiss)[0]) - 500) <= 1
        energy[song.accents[0].loudness] = frames[505:530].mean() / hiss
    # The largest sample of a piece is levelled: what counts is how far an accent is above the rest.
    decibels = 10 * np.log10(energy[1.0] / energy[0.4])
    assert decibels == pytest.approx(0.6 * (song_synthesis.ACCENT_DB[1] - song_synthesis.ACCENT_DB[0]), abs=0.5)
