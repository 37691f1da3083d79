"""Small datasets in the layouts of PMEmo2019 and HKU956, with every trap that the published ones have.

Each builder returns what a reader must find: samples by trace id. What is amiss is at the top of each.
"""

import csv
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Truth = dict[str, NDArray[np.float64]]

RATE_HZ = {"pmemo2019": 50, "hku956": 4}
AUDIO_HZ = 22050
LONGER_SEC = 0.14  # published traces end so much later than the audio

# ------------------------------------------------------------------------ PMEmo2019
# Seconds of each song's audio. "1000" sorts before "9" as text. Song 833 has no audio, and 71's has another number.
PMEMO_SONGS = {"9": 12.0, "12": 14.0, "71": 13.0, "401": 16.0, "833": 15.0, "1000": 20.0}
PMEMO_FILES = {song: f"{song}.mp3" for song in PMEMO_SONGS} | {"71": "72.mp3"}
PMEMO_SUBJECTS = ("100083", "110414", "200440", "200512")
NOT_HEARD = ("12", "200512")  # three listeners only
WITH_GAP = ("12", "100083")
GAP = slice(200, 330)  # 2.6 of 14.14 s
QUANTISED = ("401", "110414")  # 8 levels
DEAD = ("401", "200440")
END_JUMP = ("1000", "200512")
WITH_PREFIX = "71"  # headers of this file are EDA_100083, ...
LOUD = "9"  # its peak is above 1
WITHOUT_AUDIO = "833"
PMEMO_HEADER = ("musicId", "fileName", "title", "artist", "album", "duration", "chorus_start_time", "chorus_end_time")


def curve(*key: object, seconds: float, rate_hz: int, digits: int = 4) -> NDArray[np.float64]:
    """A living skin: a level, a drift, slow waves and a little noise, in microsiemens, (T,)."""
    generator = np.random.default_rng(list("/".join(map(str, key)).encode()))
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    waves = sum(0.3 * np.sin(2 * np.pi * (time / period + generator.random())) for period in (3.1, 7.3, 19.0))
    noise = 0.002 * generator.standard_normal(len(time))
    return np.round(generator.uniform(2, 8) - 0.02 * time + waves + noise, digits)


def pmemo_trace(song: str, subject: str) -> NDArray[np.float64]:
    """What a subject's column of a song holds."""
    values = curve(song, subject, seconds=PMEMO_SONGS[song] + LONGER_SEC, rate_hz=RATE_HZ["pmemo2019"])
    match song, subject:
        case key if key == WITH_GAP:
            values[GAP] = np.nan
        case key if key == QUANTISED:
            low, high = values.min(), values.max()
            values = np.round(low + np.floor(7.999 * (values - low) / (high - low)) * (high - low) / 8, 4)
        case key if key == DEAD:
            values = np.where(np.arange(len(values)) < len(values) // 2, 3.25, 3.5)
        case key if key == END_JUMP:
            values[-20:] = np.round(values[-20:] + 2, 4)
    return values


def write_pmemo(root: Path, dataset: str = "pmemo2019", *, with_audio: bool = True) -> Truth:
    """PMEmo2019: 6 songs and 4 subjects. Annotations are there for one song only."""
    truth = {}
    (root / "EDA").mkdir(parents=True)
    for song in PMEMO_SONGS:
        subjects = [subject for subject in PMEMO_SUBJECTS if (song, subject) != NOT_HEARD]
        columns = {subject: pmemo_trace(song, subject) for subject in subjects}
        truth |= {f"{dataset}/{song}/{subject}/0": values for subject, values in columns.items()}
        prefix = "EDA_" if song == WITH_PREFIX else ""
        (root / f"EDA/{song}_EDA.csv").write_text(
            pmemo_text({f"{prefix}{subject}": values for subject, values in columns.items()})
        )
    with (root / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(PMEMO_HEADER)
        for song, name in PMEMO_FILES.items():
            writer.writerow(
                [song, name, f"Ein Lied, das {song}. 歌", "N.N.", "", PMEMO_SONGS[song] - 2, "00:10", "00:20"]
            )
    (root / "annotations").mkdir()
    (root / "annotations/static_annotations.csv").write_text("musicId,Arousal(mean),Valence(mean)\n9,0.5,0.5\n")
    if with_audio:
        for song in sorted(PMEMO_SONGS.keys() - {WITHOUT_AUDIO}):
            write_song(root / "chorus" / PMEMO_FILES[song], PMEMO_SONGS[song], peak=1.3 if song == LOUD else 0.5)
    return truth


def pmemo_text(columns: dict[str, NDArray[np.float64]], rate_hz: float = 50, start_sec: float = 0.0) -> str:
    """A file of traces, as published: times with two decimals, an empty cell where there is no number."""
    lines = [",".join(["time(s)", *columns])]
    for place, values in enumerate(zip(*columns.values(), strict=True)):
        cells = ("" if np.isnan(value) else f"{value:.4f}" for value in values)
        lines.append(",".join([f"{start_sec + place / rate_hz:.2f}", *cells]))
    return "\n".join(lines) + "\n"


# --------------------------------------------------------------------------- HKU956
# Seconds of each song's audio. Ids are text: 000123 keeps its zeros. Song 9001 has no audio, and its link is dead.
HKU_SONGS = {"1240700": 30.0, "55": 24.0, "000123": 20.0, "9001": 26.0}
DEAD_LINK = "9001"
SIGNALS = "1. physiological_signals"
# (participant, song_no, song_id): seconds that it was played; hku1904 heard 1240700 twice.
HKU_RECORDS = {
    (participant, number, song): HKU_SONGS[song]
    for participant in ("hku1903", "hku1904", "hku1905")
    for number, song in enumerate(HKU_SONGS)
} | {("hku1904", 4, "1240700"): 30.0, ("hku1903", 1, "55"): 11.0}
REPLAY = ("hku1904", 4, "1240700")
SKIPPED = ("hku1903", 1, "55")
EMPTY = ("hku1905", 2, "000123")
WITH_HEAD = ("hku1905", 0, "1240700")  # as a wristband exports it


def hku_path(participant: str, number: int, song: str, signal: str = "EDA") -> str:
    return f"{SIGNALS}/{participant}/{signal}/{number}_{song}.csv"


def hku_trace(key: tuple[str, int, str]) -> NDArray[np.float64]:
    return np.zeros(0) if key == EMPTY else curve(*key, seconds=HKU_RECORDS[key], rate_hz=RATE_HZ["hku956"], digits=6)


def write_hku956(root: Path, dataset: str = "hku956", *, with_audio: bool = True) -> Truth:
    """HKU956: 3 participants and 4 songs, 13 records."""
    truth = {}
    for key in HKU_RECORDS:
        participant, number, song = key
        values = hku_trace(key)
        truth[f"{dataset}/{song}/{participant}/{number}"] = values
        head = ["1539066660.000000", "4.000000"] if key == WITH_HEAD else []
        lines = [*head, *(f"{value:.6f}" for value in values)]
        for signal in ("EDA", "TEMP"):
            path = root / hku_path(*key, signal)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines))
    links = [(song, f"https://music.example/{song}") for song in HKU_SONGS]
    write_rows(root / "2. original_song_audio.csv", ("song_id", "link"), links)
    header = ("participant_id", "song_no", "song_id", "valence_rating", "valence", "arousal_rating", "arousal")
    ratings = [(*key, 1, "low", 2, "high", seconds) for key, seconds in HKU_RECORDS.items()]
    write_rows(root / "3. AV_ratings.csv", (*header, "play_duration"), ratings)
    write_rows(root / "4. participant_personality.csv", ("participant_id", "Openness_score"), [("hku1903", 1)])
    if with_audio:
        for place, song in enumerate(sorted(HKU_SONGS.keys() - {DEAD_LINK})):
            write_song(root / "audio" / f"{song}.{('mp3', 'wav')[place % 2]}", HKU_SONGS[song])
    return truth


def write_rows(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def write_song(path: Path, seconds: float, peak: float = 0.5, rate_hz: int = AUDIO_HZ) -> None:
    """A chord with beats, as WAV or MP3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    base = 110 * 2 ** (len(path.stem) / 12)
    chord = sum(np.sin(2 * np.pi * base * ratio * time) for ratio in (1, 1.25, 1.5)) / 3
    samples = peak * chord * (0.6 + 0.4 * np.cos(2 * np.pi * 2 * time))
    soundfile.write(path, samples, rate_hz, format="MP3" if path.suffix == ".mp3" else None)
