"""Open files that are kept for the next reader: a bounded number, never shared.

Opening costs more than reading a few seconds. A reader takes a file out, so that no two threads
ever use one, and puts it back when it is done. A forked child starts with none: it would share
positions with its parent.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Hashable

from audiorig.data.source import AudioFile


class KeptFiles:
    """Keeps the files that were used last.

    Args:
        limit: how many stay open while nobody reads them.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._files: OrderedDict[Hashable, AudioFile] = OrderedDict()
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held the old one
        self.close()

    def __len__(self) -> int:
        return len(self._files)

    def take(self, key: Hashable) -> AudioFile | None:
        """The file that was kept under this key; it is the caller's now."""
        with self._lock:
            return self._files.pop(key, None)

    def keep(self, key: Hashable, file: AudioFile) -> None:
        """Keep a file that nobody reads any more; another of the same key, or the oldest, is closed."""
        with self._lock:
            surplus = self._files.pop(key, None)  # another thread was faster
            self._files[key] = file
            if surplus is None and len(self._files) > self.limit:
                surplus = self._files.popitem(last=False)[1]
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close all that nobody reads."""
        with self._lock:
            files = list(self._files.values())
            self._files.clear()
        for file in files:
            file.close()
