"""What the reading of published files takes for granted, said once and kept for the report, file by file.

Files of skin conductance state neither their unit nor, in places, their rate, their columns or where
they begin. Whatever is read into them is an assumption: it is warned of, and counted.
"""

import re
import threading
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

NUM_SHOWN = 5


class AssumptionWarning(UserWarning):
    """Something about the data is taken for granted, not known."""


@dataclass
class Assumptions:
    """All assumptions of one reading."""

    _texts: dict[str, str] = field(default_factory=dict)
    _files: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def assume(self, code: str, text: str, path: str) -> None:
        """Take something for granted; the first file that it is about is warned of, all are counted.

        Args:
            code: short name of the assumption, e.g. ``hku956-rate``.
            text: what is assumed and why, a sentence that does not depend on the file.
            path: the file, or folder, that it is about, as people know it.
        """
        with self._lock:
            if path in self._files[code]:
                return
            is_first = not self._files[code]
            self._files[code][path] = None
            self._texts.setdefault(code, text)
        if is_first:  # eight hundred lines of the same would hide the others
            warnings.warn(f"{path}: {text} [{code}; of other files it is counted]", AssumptionWarning, stacklevel=2)

    def count(self, code: str) -> int:
        """Files that an assumption was made about."""
        return len(self._files.get(code, ()))

    def as_list(self) -> list[dict[str, object]]:
        """``{code, text, count, files}`` of each, sorted by code; ``files`` are the first few of ``count``."""
        return [
            {"code": code, "text": self._texts[code], "count": len(files), "files": sorted(files)[:NUM_SHOWN]}
            for code, files in sorted(self._files.items())
            if files
        ]


@contextmanager
def collected() -> Iterator[list[dict[str, object]]]:
    """What is warned of inside, for a stage's record: scales and alignment make assumptions of no file.

    Yields:
        A list that grows, of entries as ``Assumptions.as_list`` gives them; each text once.
    """
    found: list[dict[str, object]] = []
    with warnings.catch_warnings():
        show: Any = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, AssumptionWarning):
                said = re.fullmatch(r"(?P<text>.*) \[(?P<code>[^\];]+)[^\]]*\]", str(message), re.DOTALL)
                text, code = (said["text"], said["code"]) if said else (str(message), "other")
                if all(each["text"] != text for each in found):
                    found.append({"code": code, "text": text, "count": 1, "files": []})
            show(message, category, *place, **more)

        warnings.showwarning = note
        yield found
