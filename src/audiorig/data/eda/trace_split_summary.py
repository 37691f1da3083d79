"""What a split of traces is made of, as files: its sides, and what they share, lose and give away."""

import logging
from pathlib import Path
from typing import Any

from audiorig.config import SplitConfig
from audiorig.data.eda.trace_split import CROSS, NO_DATASET, TraceSplit, num_shared
from audiorig.data.split import SUMMARY, summarize_split, write_sides
from audiorig.files import write_json

SHARED = {"songs": "song_id", "subjects": "participant_id"}

log = logging.getLogger(__name__)


def write_trace_split(split: TraceSplit, settings: SplitConfig, folder: Path) -> dict[str, Any]:
    """Write the sides and a summary: as of files, with songs, subjects and datasets of each side, and what is lost."""
    write_sides(split.sides, folder)
    summary = summarize_split(split.sides, settings, folder)
    for side, rows in split.sides.items():
        summary["sides"][side] |= {
            "num_songs": int(rows["song_id"].nunique()),
            "num_subjects": int(rows["participant_id"].nunique()),
            "datasets": {str(name): int(count) for name, count in rows["dataset"].value_counts().sort_index().items()},
        }
    summary |= {
        "method": split.method,
        "datasets": {side: list(names) for side, names in settings.datasets.items()},
        "num_excluded": split.num_excluded,
        "num_same_audio": split.num_same_audio,
        "num_dropped": {reason: int((split.dropped["reason"] == reason).sum()) for reason in (CROSS, NO_DATASET)},
        "num_shared": {what: num_shared(split.sides, column) for what, column in SHARED.items()},
        "leaks": leaks(split, settings),
        "notes": notes(split),
    }
    write_json(folder / SUMMARY, summary)
    for sentence in (*summary["warnings"], *summary["leaks"], *summary["notes"]):
        log.warning("%s", sentence)
    return summary


def leaks(split: TraceSplit, settings: SplitConfig) -> list[str]:
    """A sentence for what lies on several sides by the nature of the split."""
    songs, subjects = (num_shared(split.sides, column) for column in SHARED.values())
    match settings.group:
        case "ordered" if songs or subjects:
            return [
                f"{songs} songs and {subjects} subjects are on several sides: scores on this split say nothing of new "
                "songs or new subjects"
            ]
        case "subject" if songs:
            return [f"{songs} songs are on several sides: scores on this split are of new subjects, not of new songs"]
    return []


def notes(split: TraceSplit) -> list[str]:
    """A sentence for each way in which kept traces were lost."""
    counts = split.dropped["reason"].value_counts()
    total = len(split.dropped) + sum(map(len, split.sides.values()))
    sentences = []
    if crossed := int(counts.get(CROSS, 0)):
        sentences.append(
            f"{crossed} of {total} traces are left out, since their song is on another side than their subject"
        )
    if no_dataset := int(counts.get(NO_DATASET, 0)):
        sentences.append(f"{no_dataset} of {total} traces are left out, since their side takes none of their dataset")
    return sentences
