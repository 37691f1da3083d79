"""Names that say nothing, in the place of participants, recordings and files of a private corpus."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from audiorig.config import SIDES
from audiorig.data.corpora.folder import UNKNOWN
from audiorig.files import MACHINE_PATH

# Columns whose values name a person or a file, whatever they are called in a corpus' own tables.
IDENTIFYING = frozenset(
    {
        *("participant_id", "child_id", "speaker_id", "group_id", "home_id", "family_id"),
        *("recording_id", "recording_filename", "session_id", "wav_path", "path", "filename"),
    }
)
NOT_LISTED = "not listed"
LEAST_NAME = 3  # a name of fewer characters cannot be told from the rest of a text, but for P1 and its like


class Pseudonyms:
    """participant-01, participant-02, ... in the place of names.

    The order is that of a hash whose key is made of all the names, so it depends on their set
    alone and says nothing of their alphabet; and nobody can try one name without knowing all others.

    Args:
        names: in any order, as often as they come; ``unknown`` stays unknown.
        kind: what they name.
    """

    def __init__(self, names: Iterable[str], kind: str = "participant") -> None:
        known = {str(name) for name in names} - {UNKNOWN}
        self.kind = kind
        key = hashlib.blake2b("\0".join(sorted(known)).encode(), digest_size=32).digest()
        dealt = sorted(known, key=lambda name: hashlib.blake2b(name.encode(), key=key).digest())
        width = max(2, len(str(len(dealt))))
        self._numbered = {name: f"{kind}-{number:0{width}d}" for number, name in enumerate(dealt, start=1)}

    def __getitem__(self, name: str) -> str:
        """The pseudonym; a name that was not among the names is never given back as it is."""
        if name == UNKNOWN:
            return UNKNOWN
        return self._numbered.get(name, f"{self.kind} {NOT_LISTED}")

    def __contains__(self, name: object) -> bool:
        return name in self._numbered

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbered)

    def __len__(self) -> int:
        return len(self._numbered)


class CorpusPseudonyms:
    """Pseudonyms for all that a corpus' manifest names.

    Args:
        files: columns ``wav_path, participant_id, recording_id``.
    """

    def __init__(self, files: pd.DataFrame) -> None:
        columns = [files[name].fillna(UNKNOWN).astype(str) for name in ("wav_path", "participant_id", "recording_id")]
        rows = list(zip(*columns, strict=True))
        self.participants = Pseudonyms(participant for _, participant, _ in rows)
        # Two homes may give their recordings the same names.
        recordings = Pseudonyms((f"{participant}\0{recording}" for _, participant, recording in rows), "recording")
        self._of_file: dict[str, str] = {}
        self._of_recording: dict[str, list[str]] = {}
        self._in_text: dict[str, str] = {}
        for path, participant, recording in rows:
            pseudonym = recordings[f"{participant}\0{recording}"]
            whose = "" if participant == UNKNOWN else f" of {self.participants[participant]}"
            self._of_file[path] = f"{pseudonym}{whose}"
            found = self._of_recording.setdefault(recording, [])
            if pseudonym not in found:
                found.append(pseudonym)
        self._collect_names(rows)

    @classmethod
    def of_split(cls, split: Path) -> "CorpusPseudonyms":
        """Of all files of a split's three sides."""
        columns = ["wav_path", "participant_id", "recording_id"]
        return cls(pd.concat([pd.read_parquet(split / f"{side}.parquet", columns=columns) for side in SIDES]))

    def file(self, wav_path: str) -> str:
        """recording-07 of participant-03."""
        return self._of_file.get(wav_path, f"file {NOT_LISTED}")

    def recording(self, recording_id: str) -> str:
        """recording-07; several where several homes use the name."""
        return " or ".join(sorted(self._of_recording.get(recording_id, [f"recording {NOT_LISTED}"])))

    def value(self, column: str, value: str) -> str:
        """What may be shown of a value of one of the manifest's columns."""
        if value in self.participants:
            return self.participants[value]
        if value in self._of_recording:
            return self.recording(value)
        if value in self._of_file:
            return self.file(value)
        if column in IDENTIFYING and value != UNKNOWN:
            return NOT_LISTED
        return self.scrubbed(value)

    def scrubbed(self, text: str) -> str:
        """A text that somebody wrote, with pseudonyms for names (see ``LEAST_NAME``) and without paths."""
        lowered = text.lower()
        found = [name for name in self._in_text if name in lowered]
        if not found:
            return MACHINE_PATH.sub("a folder", text)
        found.sort(key=len, reverse=True)  # a path before the names that it is made of
        names = "|".join(re.escape(name) for name in found)
        # With the folders that stand before it: where a corpus lies may say whose it is.
        bounded = re.compile(rf"(?<![^\W_])(?:[^\s'\"<>()]*/)?({names})(?![^\W_])", re.IGNORECASE)
        named = bounded.sub(lambda match: self._in_text.get(match[1].lower(), NOT_LISTED), text)
        return MACHINE_PATH.sub("a folder", named)

    def _collect_names(self, rows: list[tuple[str, str, str]]) -> None:
        """Everything that a text may call a participant or a file by, in lower case; participants go first."""
        for path, _, recording in rows:
            whole = PurePosixPath(path)
            tails = ("/".join(whole.parts[first:]) for first in range(len(whole.parts)))
            for name in (*tails, whole.stem, recording):
                of_this = self._of_file[path]
                if self._in_text.setdefault(name.lower(), of_this) != of_this:
                    self._in_text[name.lower()] = "a recording"  # several have this name
            for part in whole.parts[:-1]:
                if not (part.isalpha() and part.islower()):  # "recordings" and "raw" name nobody
                    self._in_text.setdefault(part.lower(), "a folder")
        self._in_text |= {name.lower(): self.participants[name] for name in self.participants}
        for name in [name for name in self._in_text if self._is_too_short(name) or name == UNKNOWN]:
            del self._in_text[name]

    def _is_too_short(self, name: str) -> bool:
        """Whether a text may hold the same characters by chance."""
        has_both = any(each.isdigit() for each in name) and any(each.isalpha() for each in name)
        is_code = len(name) == 2 and has_both and self._in_text[name].startswith("participant-")
        return len(name) < LEAST_NAME and not is_code
