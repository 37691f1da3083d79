"""Infants' cries as they are published: what a clip is stands in its name and its folders.

- donateacry: ``{app id}-{time}-{app version}-{gender}-{age}-{reason}.wav``, as its README says. The
  id is that of an installed app: one family can have two, and one can be used for two infants. iOS
  writes ids in capitals and seconds, Android in small letters and milliseconds. The cleaned tree
  sorts clips into folders by reason, seven of reason cold/hot into ``discomfort``; here reason is
  what the name says, and the folder is a column of its own.
- baby-chillanto: folders ``1s_{class}`` of fragments of a second, ``{4 digits of the recording}{3
  digits of the fragment}{3 digits of the class}.wav``, e.g. ``1s_deaf/0025001010.wav``. No publisher
  describes the names; this is how the copies look that people hold, and ``participant_pattern`` is
  there for others. Fragments of one recording on two sides are the same cry twice. Asphyxia and
  deafness are conditions of infants, no reasons, and stand in the same column.
- cryceleb: ``audio/{side}/{infant}/{B|D}/{infant}_{B|D}_{number}.wav``: expirations after birth (B)
  and at discharge (D), with an official division of infants into sides.
"""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath

import pandas as pd
import pyarrow as pa

from audiorig.config import CriesCorpus
from audiorig.config_stages import participant_regex
from audiorig.data.corpora.folder import UNKNOWN, identify

GENDERS = {"m": "male", "f": "female"}
AGES = {
    "04": "0-4 weeks",
    "48": "4-8 weeks",
    "26": "2-6 months",
    "72": "7 months to 2 years",
    "22": "over 2 years",
}
REASONS = {
    "hu": "hungry",
    "bu": "burping",
    "bp": "belly_pain",
    "dc": "discomfort",
    "ti": "tired",
    "lo": "lonely",
    "ch": "cold_hot",
    "sc": "scared",
    "dk": "dont_know",
}
DONATED = re.compile(
    r"(?P<app>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(?P<time>\d{10}|\d{13})-\d+(?:\.\d+)*"
    rf"-(?P<gender>[{''.join(GENDERS)}])-(?P<age>{'|'.join(AGES)})-(?P<reason>{'|'.join(REASONS)})"
)
MILLISECOND_DIGITS = 13
CHILLANTO_CLASSES = ("asphyxia", "deaf", "hunger", "normal", "pain")
CHILLANTO_FOLDER = re.compile(rf"(?:1s_?)?(?P<reason>{'|'.join(CHILLANTO_CLASSES)})")
# The recordings that the fragments were cut from, which some copies hold too: the same seconds again.
CHILLANTO_WHOLE = re.compile(rf"full_?(?:{'|'.join(CHILLANTO_CLASSES)})")
CELEB = re.compile(r"(?:.*/)?(?P<side>train|dev|test)/(?P<infant>[^/]+)/(?P<session>[BD])/[^/]+")
SESSIONS = {"B": "birth", "D": "discharge"}

Row = dict[str, str]
log = logging.getLogger(__name__)


def describe_clips(corpus: CriesCorpus, scan: pa.Table) -> pd.DataFrame:
    """What names and folders say of the clips of a scan.

    A clip whose name does not follow the layout keeps its row, of an unknown participant and with
    empty columns; how many there are is logged.

    Returns:
        ``wav_path``, ``participant_id``, ``recording_id``, then columns of text:

        - donateacry: ``recorded_at`` (ISO 8601, UTC), ``gender``, ``age``, ``reason``, ``folder``;
        - baby-chillanto: ``reason`` (the class), ``folder``;
        - cryceleb: ``session`` (birth or discharge), ``side``.

    Raises:
        ConfigError: if the corpus' pattern is no regular expression with the group ``participant``.
    """
    paths = [path for path in scan["wav_path"].to_pylist() if not is_hidden(path)]
    match corpus.layout:
        case "donateacry":
            describe: Callable[[PurePosixPath], Row] = describe_donated
            expected = "{app id}-{time}-{app version}-{gender}-{age}-{reason}"
        case "baby-chillanto":
            paths = _without_whole_recordings(paths)
            pattern = participant_regex(corpus.participant_pattern, "participant_pattern")
            describe = partial(describe_fragment, pattern=pattern)
            expected = f"a folder 1s_{{class}} and a name in which {pattern.pattern!r} matches"
        case "cryceleb":
            describe = describe_expiration
            expected = "{side}/{infant}/{B or D}/{infant}_{B or D}_{number}"
    rows = [describe(PurePosixPath(path)) for path in paths]
    unknown = [path for path, row in zip(paths, rows, strict=True) if row["participant_id"] == UNKNOWN]
    if unknown:
        log.warning(
            "%d of %d names are not as in the layout %s and are of an unknown participant, e.g. %s: expected %s",
            len(unknown), len(paths), corpus.layout, unknown[0], expected,
        )  # fmt: skip
    _report_other_folders(rows)
    return identify(pd.DataFrame({"wav_path": paths}, dtype="str").join(pd.DataFrame(rows, dtype="str")))


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder above it, begins with a dot: copies that an unpacker leaves."""
    return any(part.startswith(".") for part in PurePosixPath(path).parts)


def describe_donated(path: PurePosixPath) -> Row:
    """One clip of the donated cries."""
    folder = path.parent.name
    found = DONATED.fullmatch(path.stem.lower())
    if found is None:
        empty = dict.fromkeys(("recorded_at", "gender", "age", "reason"), "")
        return {"participant_id": UNKNOWN, **empty, "folder": folder}
    return {
        "participant_id": found["app"],
        "recorded_at": when(found["time"]),
        "gender": GENDERS[found["gender"]],
        "age": AGES[found["age"]],
        "reason": REASONS[found["reason"]],
        "folder": folder,
    }


def when(time: str) -> str:
    """A Unix time, of 10 digits in seconds or of 13 in milliseconds, as ISO 8601 in UTC."""
    milliseconds = int(time) if len(time) == MILLISECOND_DIGITS else 1000 * int(time)
    seconds, rest = divmod(milliseconds, 1000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=1000 * rest)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def describe_fragment(path: PurePosixPath, pattern: re.Pattern[str]) -> Row:
    """One second of the Baby Chillanto database.

    The number alone is the participant: should two classes number their infants alike, two infants
    share a side, which costs little; the other way round, one infant might be on two.
    """
    folder = path.parent.name
    reason = CHILLANTO_FOLDER.fullmatch(folder.lower())
    found = pattern.search(path.stem)
    return {
        "participant_id": (found["participant"] or UNKNOWN) if found else UNKNOWN,
        "recording_id": found["participant"] or "" if found else "",
        "reason": reason["reason"] if reason else "",
        "folder": folder,
    }


def describe_expiration(path: PurePosixPath) -> Row:
    """One expiration of CryCeleb; a recording is a session of an infant."""
    found = CELEB.fullmatch(path.as_posix())
    if found is None:
        return {"participant_id": UNKNOWN, "recording_id": "", "session": "", "side": ""}
    return {
        "participant_id": found["infant"],
        "recording_id": f"{found['infant']}_{found['session']}",
        "session": SESSIONS[found["session"]],
        "side": found["side"],
    }


def _without_whole_recordings(paths: list[str]) -> list[str]:
    is_whole = [CHILLANTO_WHOLE.fullmatch(PurePosixPath(path).parent.name.lower()) is not None for path in paths]
    if any(is_whole):
        log.info("%d files are whole recordings, of which the fragments are parts: left out", sum(is_whole))
    return [path for path, whole in zip(paths, is_whole, strict=True) if not whole]


def _report_other_folders(rows: list[Row]) -> None:
    """Say where name and folder disagree about the reason."""
    reasons = set(REASONS.values())
    others = [row for row in rows if row.get("reason") and row.get("folder") in reasons - {row["reason"]}]
    if others:
        kinds = sorted({f"{row['reason']} in {row['folder']}" for row in others})
        log.info("%d clips lie in the folder of another reason (%s): reason is the name's", len(others), kinds)
