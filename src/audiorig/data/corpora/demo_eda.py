"""The generated listeners: music with accents, and skins that answer them late, in the layout of PMEmo2019.

Whoever predicts by the seconds since a song's onset alone is right about half of what listeners share;
whoever hears the accents is right about more, and cannot know the rest, which is each listener's own.
``truth.csv`` says what was planted. The same settings give the same files, byte for byte.
"""

import csv
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import soundfile
from tqdm import tqdm

from audiorig.data.corpora.eda_synthesis import RATE_HZ, Listener, Trace, draw_listener, render_trace, strengths
from audiorig.data.corpora.generated import in_processes, remove_others
from audiorig.data.corpora.song_synthesis import SAMPLE_RATE_HZ, Song, draw_accents, render_song
from audiorig.files import written_aside
from audiorig.randomness import keyed_generator

if TYPE_CHECKING:
    from audiorig.config import DemoEdaCorpus

METADATA, TRUTH = "metadata.csv", "truth.csv"
COLUMNS = ("musicId", "fileName", "title", "artist", "album", "duration", "chorus_start_time", "chorus_end_time")
TRUTH_COLUMNS = ("musicId", "subject", "what", "time_sec", "value")
# Published ids have one to four digits and gaps between them: sorted as text they are out of order.
LARGEST_ID = 1000
STEREO_SHARE = 0.1
CUT_SEC = 1.0  # published chorus times are that much shorter at either end than the clips

# Planted in one trace each: 8 levels; a sensor that stands still but for a tiny step now and then; a jump in the last
# half second; a stretch without values that is too long, and one that is short enough to be bridged.
Defect = Literal["quantised", "dead", "end_jump", "non_finite", "short_gap"]
LEVELS = 8
HELD_SEC, STUCK_STEP = 6.0, 0.01
JUMP_SEC, JUMP_SD = 0.5, 6.0
GAP_SHARE, SHORT_GAP_SEC = 0.12, 0.6

FloatArray = npt.NDArray[np.float64]
Truth = tuple[str, str, str, str, str]


class Session(NamedTuple):
    """One song and who hears it, with the defects that their traces get."""

    song: Song
    listeners: tuple[Listener, ...]
    defects: Mapping[str, Defect]


def plan_sessions(settings: "DemoEdaCorpus") -> list[Session]:
    """Every song of the corpus, sorted by its id as a number."""
    songs = plan_songs(settings)
    subjects = plan_listeners(settings)
    defects = plan_defects(settings, subjects)
    return [
        Session(
            song,
            tuple(draw_listener(settings.seed, subject) for subject in subjects[song.music_id]),
            {who: defect for (music_id, who), defect in defects.items() if music_id == song.music_id},
        )
        for song in songs
    ]


def plan_songs(settings: "DemoEdaCorpus") -> list[Song]:
    """Songs by id: lengths within a fifth of the mean, some stereo."""
    songs = []
    for music_id in _music_ids(settings):
        generator = keyed_generator("eda-song", settings.seed, music_id)
        duration_sec = round(settings.duration_sec * generator.uniform(0.8, 1.2), 2)
        channels = 2 if generator.random() < STEREO_SHARE else 1
        songs.append(Song(music_id, duration_sec, channels, draw_accents(duration_sec, generator)))
    return songs


def plan_listeners(settings: "DemoEdaCorpus") -> dict[str, tuple[str, ...]]:
    """Who hears which song: each time those who have heard least, so that nobody hears two songs more than another."""
    numbers = keyed_generator("eda-subjects", settings.seed).permutation(200_000)[: settings.num_subjects]
    subjects = np.array([str(100_000 + number) for number in np.sort(numbers)])
    heard = np.zeros(len(subjects), dtype=int)
    by_song = {}
    for music_id in _music_ids(settings):
        drawn = keyed_generator("eda-listeners", settings.seed, music_id).permutation(len(subjects))
        chosen = np.sort(drawn[np.argsort(heard[drawn], kind="stable")][: settings.listeners_per_song])
        heard[chosen] += 1
        by_song[music_id] = tuple(str(subject) for subject in subjects[chosen])
    return by_song


def plan_defects(settings: "DemoEdaCorpus", subjects: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, str], Defect]:
    """Which trace (song, subject) gets which defect; each defect is in one trace, and no trace has two."""
    if not settings.defects:
        return {}
    traces = [(music_id, subject) for music_id, heard_by in subjects.items() for subject in heard_by]
    drawn = keyed_generator("eda-defects", settings.seed).permutation(len(traces))
    return {traces[place]: defect for place, defect in zip(drawn, get_args(Defect), strict=False)}


def synthesize(settings: "DemoEdaCorpus", root: Path, num_workers: int) -> None:
    """Write songs and traces below `root`, then ``truth.csv`` and, last and in one step, ``metadata.csv``.

    Args:
        settings: seed, numbers of songs and listeners, how long songs are and how late the skin answers.
        root: folder of the corpus; songs go to chorus/, traces to EDA/.
        num_workers: processes that work; one means this process.

    Raises:
        RuntimeError: naming the song that could not be made.
    """
    sessions = {session.song.music_id: session for session in plan_sessions(settings)}
    (root / METADATA).unlink(missing_ok=True)
    for folder, name in (("chorus", "{}.wav"), ("EDA", "{}_EDA.csv")):
        remove_others(root, (root / folder).glob("*"), {f"{folder}/{name.format(each)}" for each in sessions})
        (root / folder).mkdir(parents=True, exist_ok=True)
    write = partial(_write_session, settings=settings, root=root)
    done = in_processes(write, list(sessions.values()), num_workers, chunksize=2)
    planted = dict(tqdm(done, total=len(sessions), desc="synthesize", unit="song"))
    _write_csv(root / TRUTH, TRUTH_COLUMNS, (row for music_id in sessions for row in planted[music_id]))
    _write_csv(root / METADATA, COLUMNS, (_described(session.song) for session in sessions.values()))


def render_session(settings: "DemoEdaCorpus", session: Session) -> dict[str, tuple[Trace, FloatArray]]:
    """By subject: what its skin did, and what the file says of it, microsiemens (T,), NaN where nothing was read."""
    rendered = {}
    for listener in session.listeners:
        generator = keyed_generator("eda-trace", settings.seed, session.song.music_id, listener.subject)
        trace = render_trace(
            session.song.accents,
            session.song.duration_sec,
            listener,
            settings.latency_sec,
            settings.response_share,
            generator,
        )
        samples = spoil(trace.samples, session.defects.get(listener.subject), generator)
        rendered[listener.subject] = (trace, samples)
    return rendered


def spoil(samples: FloatArray, defect: Defect | None, generator: np.random.Generator) -> FloatArray:
    """A trace (T,) with a defect, or without."""
    spoilt = samples.copy()
    match defect:
        case "quantised":
            step = (samples.max() - samples.min()) / (LEVELS - 1)
            spoilt = samples.min() + step * np.rint((samples - samples.min()) / step)
        case "dead":
            held = round(HELD_SEC * RATE_HZ)
            steps = STUCK_STEP * generator.standard_normal(len(samples) // held + 1)
            spoilt = samples.mean() + np.repeat(np.cumsum(steps), held)[: len(samples)]
        case "end_jump":
            spoilt[-round(JUMP_SEC * RATE_HZ) :] += JUMP_SD * samples.std()
        case "non_finite" | "short_gap":
            gap_sec = SHORT_GAP_SEC if defect == "short_gap" else GAP_SHARE * len(samples) / RATE_HZ
            length = round(gap_sec * RATE_HZ)
            start = int(generator.integers(len(samples) // 4, len(samples) // 2))
            spoilt[start : start + length] = np.nan
    return spoilt


def _write_session(session: Session, settings: "DemoEdaCorpus", root: Path) -> tuple[str, list[Truth]]:
    song = session.song
    try:
        soundfile.write(
            root / f"chorus/{song.music_id}.wav", render_song(song, settings.seed), SAMPLE_RATE_HZ, subtype="PCM_16"
        )
        rendered = render_session(settings, session)
        columns = [samples for _, samples in rendered.values()]
        header = ("time(s)", *rendered)
        _write_csv(root / f"EDA/{song.music_id}_EDA.csv", header, _lines(columns))
    except Exception as error:
        raise RuntimeError(f"song {song.music_id}: {error}") from error
    return song.music_id, list(_planted(session, rendered))


def _planted(session: Session, rendered: Mapping[str, tuple[Trace, FloatArray]]) -> Iterator[Truth]:
    """What is true of a song and its traces: accents with loudness and strength, then each trace's numbers."""
    song = session.song
    for accent, strength in zip(song.accents, strengths(song.accents), strict=True):
        when = f"{accent.time_sec:.3f}"
        yield (song.music_id, "", f"accent_{accent.sound}", when, f"{accent.loudness:.3f}")
        yield (song.music_id, "", "strength", when, f"{strength:.4f}")
    for listener in session.listeners:
        trace, samples = rendered[listener.subject]
        numbers = {
            "latency_sec": trace.latency_sec,
            "decay_sec": listener.decay_sec,
            "gain": listener.gain,
            "level": trace.level,
            "music_sd": float(trace.music.std()),
            "private_sd": float(trace.private.std()),
        }
        for what, value in numbers.items():
            yield (song.music_id, listener.subject, what, "", f"{value:.4f}")
        if defect := session.defects.get(listener.subject):
            first = int(np.argmax(np.isnan(samples) | (samples != trace.samples)))
            yield (song.music_id, listener.subject, f"defect_{defect}", f"{first / RATE_HZ:.2f}", "1")


def _described(song: Song) -> tuple[str, ...]:
    """A row of metadata.csv; the times, as published, are those of the chorus within the song."""
    start = 30 + int(song.music_id) % 60
    times = (start + CUT_SEC, start + song.duration_sec - CUT_SEC)
    seconds = [f"{int(time // 60):02d}:{int(time % 60):02d}" for time in times]
    return (
        song.music_id,
        f"{song.music_id}.wav",
        f"Piece {song.music_id}",
        "generated",
        "generated",
        f"{song.duration_sec:.2f}",
        *seconds,
    )


def _music_ids(settings: "DemoEdaCorpus") -> list[str]:
    """Numbers with gaps, the smallest of one digit and the largest of four."""
    largest = max(LARGEST_ID, 2 * settings.num_songs)
    drawn = keyed_generator("eda-music", settings.seed).permutation(np.arange(10, largest))[: settings.num_songs - 2]
    return ["9", *(str(number) for number in np.sort(drawn)), str(largest)]


def _lines(columns: list[FloatArray]) -> Iterator[list[str]]:
    for place, values in enumerate(np.stack(columns, axis=1)):
        yield [f"{place / RATE_HZ:.2f}", *("" if np.isnan(value) else f"{value:.4f}" for value in values)]


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterator[list[str]] | Iterator[tuple[str, ...]]) -> None:
    with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
