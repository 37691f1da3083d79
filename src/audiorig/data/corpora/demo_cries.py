"""The generated cries: infants with a voice and a room of their own, five reasons, 20 to 1.

Whoever splits them by clip finds every infant on every side, and a model that recognises infants
guesses their reasons; split by infant, it has to hear the reason. The same settings give the same
files, byte for byte.
"""

import csv
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np
import soundfile

from audiorig.data.corpora.cry_synthesis import SAMPLE_RATE_HZ, Cause, Infant, draw_infant, render_cry
from audiorig.data.corpora.generated import write_clips
from audiorig.files import written_aside
from audiorig.randomness import keyed_generator

if TYPE_CHECKING:
    from audiorig.config import DemoCriesCorpus

METADATA = "metadata.csv"
COLUMNS = ("path", "participant_id", "sex", "age_weeks", "reason")
CAUSES: tuple[Cause, ...] = get_args(Cause)
# 480 clips are 300, 75, 60, 30 and 15.
SHARES: dict[Cause, int] = {"hungry": 20, "discomfort": 5, "tired": 4, "belly_pain": 2, "burping": 1}
MAIN_SHARE = 0.9  # of a reason's clips, of infants who mostly cry for it
MOST_REASONS = 3


class Clip(NamedTuple):
    """All there is to say about one file before it is made."""

    path: str
    infant: Infant
    reason: Cause


def plan_clips(settings: "DemoCriesCorpus") -> list[Clip]:
    """Every clip of the corpus, sorted by path.

    Each infant has a main reason, and up to two others of fewer clips. Rare reasons have more
    infants than clips would give them (by the cube root of their share): a reason of two infants
    could not be on three sides.
    """
    infants = plan_infants(settings.seed, settings.num_infants)
    clips = []
    for name, reasons in plan_reasons(settings.seed, infants, count_clips(settings.num_clips)).items():
        infant = draw_infant(settings.seed, name)
        causes = [cause for cause in CAUSES for _ in range(reasons[cause])]
        order = keyed_generator("cry-order", settings.seed, name).permutation(len(causes))
        clips += [Clip(f"{name}/cry-{place:03d}.wav", infant, causes[which]) for place, which in enumerate(order)]
    return sorted(clips, key=lambda clip: clip.path)


def count_clips(num_clips: int) -> dict[Cause, int]:
    """Clips of each reason, 20 of the commonest to one of the rarest."""
    return dict(zip(CAUSES, apportion(num_clips, np.array([SHARES[cause] for cause in CAUSES])), strict=True))


def plan_infants(seed: int, num_infants: int) -> dict[str, Cause]:
    """Names and main reasons, which the names do not give away."""
    weights = np.cbrt([SHARES[cause] for cause in CAUSES])
    counts = apportion(num_infants, weights)
    mains = [cause for cause, count in zip(CAUSES, counts, strict=True) for _ in range(count)]
    order = keyed_generator("cry-infants", seed).permutation(num_infants)
    return {f"infant-{number:02d}": mains[which] for number, which in enumerate(order, start=1)}


def apportion(total: int, weights: np.ndarray) -> list[int]:
    """Whole numbers that are proportional to weights as nearly as they can be (largest remainders), at least 1."""
    exact = total * weights / weights.sum()
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() < total:
        counts[np.argmax(exact - counts)] += 1
    while counts.sum() > total:
        counts[np.argmax(np.where(counts > 1, counts - exact, -np.inf))] -= 1
    return [int(count) for count in counts]


def plan_reasons(seed: int, infants: Mapping[str, Cause], counts: Mapping[Cause, int]) -> dict[str, Counter[Cause]]:
    """How many clips each infant gives for each reason; the main reason has more than any other."""
    reasons: dict[str, Counter[Cause]] = {name: Counter() for name in infants}
    others: list[Cause] = []
    for cause, count in counts.items():
        names = [name for name, main in infants.items() if main == cause]
        num_main = min(count, max(round(MAIN_SHARE * count), 2 * len(names)))
        for place in range(num_main):
            reasons[names[place % len(names)]][cause] += 1
        others += [cause] * (count - num_main)
    generator = keyed_generator("cry-reasons", seed)
    for cause in others:
        takers = [name for name in infants if _takes(reasons[name], infants[name], cause)]
        # Nobody else may take it: it stays with those who mostly cry for it.
        takers = takers or [name for name, main in infants.items() if main == cause]
        reasons[takers[generator.integers(len(takers))]][cause] += 1
    return reasons


def synthesize(settings: "DemoCriesCorpus", root: Path, num_workers: int) -> None:
    """Write all clips below `root` as 16 kHz WAV files, then ``metadata.csv``, in one step.

    Args:
        settings: seed, numbers of infants and of clips.
        root: folder of the corpus; clips go to {participant_id}/.
        num_workers: processes that work; one means this process.

    Raises:
        RuntimeError: naming the clip that could not be made.
    """
    clips = plan_clips(settings)
    (root / METADATA).unlink(missing_ok=True)
    write = partial(_write_clip, root=root, seed=settings.seed)
    write_clips(write, {clip.path: clip for clip in clips}, root, root.glob("infant-*/cry-*.wav"), num_workers)
    with written_aside(root / METADATA) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((path, who.name, who.sex, who.age_weeks, reason) for path, who, reason in clips)


def _takes(given: Counter[Cause], main: Cause, cause: Cause) -> bool:
    """Whether an infant may give one more clip for a reason that is not its main one."""
    has_room = len(given) < MOST_REASONS or cause in given
    return cause != main and has_room and given[cause] + 1 < given[main]


def _write_clip(clip: Clip, root: Path, seed: int) -> None:
    try:
        samples = render_cry(clip.infant, clip.reason, seed, clip.path)
        soundfile.write(root / clip.path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
    except Exception as error:
        raise RuntimeError(f"{clip.path}: {error}") from error
