"""One generated recording: who says what when, in which room, over which noise.

People talk in bursts, a second between utterances and several between bursts, and now and then
nobody says anything for a quarter of a minute: about half of the time is without speech. Nobody
interrupts anybody, so that each utterance has one speaker.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from audiorig.data.corpora.home_sounds import (
    Distance,
    Room,
    add_kettle,
    add_loop,
    add_television,
    build_room,
    make_noise_floor,
)
from audiorig.data.corpora.home_voices import SPEAKER_TYPES, Home, Speaker, SpeakerType, cast_home, utter
from audiorig.randomness import keyed_generator

GAP_SEC, BURST, PAUSE_SEC = (0.25, 0.6), (5, 12), (2.0, 8.0)
LONG_PAUSE_SEC, LONG_PAUSE_EVERY_SEC = (12.0, 20.0), 120.0
KETTLE_EVERY_SEC = 150.0
NEAR_SHARE: dict[SpeakerType, float] = {"CHI": 0.65, "FEM": 0.55, "MAL": 0.5}  # the child carries the recorder
LEVEL_SPREAD_DB = 1.5
SEGMENT_SEC = (1.0, 4.0)
# A quiet stretch begins when the room has ceased to sound, and ends well before the next word.
AFTER_SPEECH_SEC, BEFORE_SPEECH_SEC = 0.5, 0.15

Scene = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """What is to be heard from one millisecond to another; empty texts where there is nothing to say."""

    onset_ms: int
    offset_ms: int
    speaker_type: str = ""
    activity: str = "quiet"
    language: str = ""
    distance: str = ""


def record_scene(seed: int, home: Home, path: str, minutes: float) -> tuple[Scene, list[Stretch]]:
    """Record a home for some minutes.

    Args:
        path: names the recording; people, room and microphone are those of the home.

    Returns:
        float32 (C, T), and the stretches of 1 to 4 seconds with one speaker or with none, in order.
    """
    room, rate_hz = build_room(seed, home), home.sample_rate_hz
    scene = np.zeros((home.channels, round(60 * minutes * rate_hz)), np.float32)
    _add_noise(scene, room, seed, home, path)
    spoken = _add_speech(scene, room, cast_home(seed, home), home, keyed_generator("home-talk", seed, path))
    fitting = [each for each in spoken if SEGMENT_SEC[0] <= (each.offset_ms - each.onset_ms) / 1000 <= SEGMENT_SEC[1]]
    length_ms = 1000 * scene.shape[1] // rate_hz
    quiet = _quiet_stretches(spoken, fitting, length_ms, keyed_generator("home-quiet", seed, path))
    return scene, sorted([*fitting, *quiet], key=lambda stretch: stretch.onset_ms)


def _add_noise(scene: Scene, room: Room, seed: int, home: Home, path: str) -> None:
    generator, rate_hz = keyed_generator("home-noise", seed, path), home.sample_rate_hz
    add_loop(scene, make_noise_floor(room, rate_hz, home.channels, generator))
    for _ in range(round(scene.shape[1] / rate_hz / KETTLE_EVERY_SEC)):
        add_kettle(scene, room, rate_hz, generator)
    # On television speak people of the same side: no voice is heard on two sides.
    strangers = [replace(home, name=f"television {number} of {path}", index=home.index + number) for number in (1, 2)]
    casts = [cast_home(seed, stranger) for stranger in strangers]
    add_television(scene, room, home, [cast[who] for cast in casts for who in ("FEM", "MAL")], generator)


def _add_speech(
    scene: Scene,
    room: Room,
    people: dict[SpeakerType, Speaker],
    home: Home,
    generator: np.random.Generator,
) -> list[Stretch]:
    """Let people talk until the end; returns every utterance."""
    rate_hz, language = home.sample_rate_hz, home.language
    stretches: list[Stretch] = []
    gains = {speaker_type: _gains(len(scene), generator) for speaker_type in SPEAKER_TYPES}
    turns: list[SpeakerType] = []
    cursor = round(generator.uniform(*PAUSE_SEC) * rate_hz)
    left_in_burst, next_long_pause = int(generator.integers(*BURST)), LONG_PAUSE_EVERY_SEC / 2
    while True:
        if not turns:  # each as often as the others
            turns = [SPEAKER_TYPES[place] for place in generator.permutation([0, 0, 1, 1, 2, 2])]
        who = turns.pop()
        distance: Distance = "near" if generator.random() < NEAR_SHARE[who] else "far"
        sound, is_words = utter(people[who], language, rate_hz, generator)
        stop = cursor + len(sound)
        if stop > scene.shape[1]:
            return stretches
        level = room.near_dbfs + (room.far_db if distance == "far" else 0) + generator.normal(0, LEVEL_SPREAD_DB)
        heard = room.hear(sound, distance, level, gains[who], rate_hz)[:, : scene.shape[1] - cursor]
        scene[:, cursor : cursor + heard.shape[1]] += heard
        onset_ms, offset_ms = -(-1000 * cursor // rate_hz), 1000 * stop // rate_hz
        stretches.append(Stretch(onset_ms, offset_ms, who, "speech", language if is_words else "", distance))
        left_in_burst -= 1
        if stop > next_long_pause * rate_hz:
            pause, next_long_pause = generator.uniform(*LONG_PAUSE_SEC), next_long_pause + LONG_PAUSE_EVERY_SEC
        elif left_in_burst > 0:
            pause = generator.uniform(*GAP_SEC)
        else:
            pause, left_in_burst = generator.uniform(*PAUSE_SEC), int(generator.integers(*BURST))
        cursor = stop + round(pause * rate_hz)


def _gains(channels: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Where somebody mostly is, as gains of the channels (C,)."""
    if channels == 1:
        return np.ones(1)
    angle = generator.uniform(0.15, 0.35) * np.pi
    return np.array([np.cos(angle), np.sin(angle)])


def _quiet_stretches(
    spoken: list[Stretch], fitting: list[Stretch], length_ms: int, generator: np.random.Generator
) -> list[Stretch]:
    """Stretches without speech, as long as those with speech are, and at most as many."""
    lengths = [each.offset_ms - each.onset_ms for each in fitting]
    if not lengths:
        return []
    begins = [0, *(each.offset_ms + round(1000 * AFTER_SPEECH_SEC) for each in spoken)]
    ends = [*(each.onset_ms - round(1000 * BEFORE_SPEECH_SEC) for each in spoken), length_ms]
    quiet: list[Stretch] = []
    for begin, end in zip(begins, ends, strict=True):
        while begin + (length := lengths[generator.integers(len(lengths))]) <= end:
            quiet.append(Stretch(begin, begin + length))
            begin += length
    chosen = generator.permutation(len(quiet))[: len(fitting)]
    return [quiet[place] for place in chosen]
