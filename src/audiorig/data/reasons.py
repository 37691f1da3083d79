"""What can be wrong with a file: how bad it is, what it means, and what to do about it."""

from dataclasses import dataclass
from typing import Any, Literal

from audiorig.config import Reason

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Meaning:
    """What a reason stands for.

    Attributes:
        severity: an error leaves a file out of the splits, unless they say otherwise.
        when: what was found.
        advice: what its owner can do.
        is_readable: whether training could read the file; if not, no setting brings it back.
    """

    severity: Severity
    when: str
    advice: str
    is_readable: bool = True


MEANINGS: dict[Reason, Meaning] = {
    "missing": Meaning("error", "the metadata names it, the folder lacks it", "complete the download", False),
    "not_regular": Meaning("error", "a folder, pipe or device has the name of audio", "rename or move it", False),
    "permission": Meaning("error", "the system refuses to open or read it", "chmod, or ask its owner", False),
    "bad_name": Meaning("error", "its name is no UTF-8, so no table can hold it", "rename it", False),
    "outside_root": Meaning("error", "a link that leads out of the corpus", "copy the file, or move root up", False),
    "link_loop": Meaning("error", "links that lead in a circle", "remove the link", False),
    "unreadable_folder": Meaning("error", "a folder that may not be listed", "chmod, or ask its owner", False),
    "unreadable_header": Meaning("error", "no audio, or a damaged header", "fetch or convert it again", False),
    "codec_not_allowed": Meaning(
        "error", "its codec is not in validation.allowed_codecs", "convert or allow it", False
    ),
    "zero_frames": Meaning("error", "a header without samples", "fetch it again", False),
    "decode_error": Meaning("error", "the decoder failed, crashed or did not end", "fetch it again", False),
    "truncated": Meaning("error", "it holds less audio than its header promises", "fetch it again"),
    "non_finite": Meaning("error", "samples that are NaN or infinite", "write it again"),
    "too_short": Meaning("error", "shorter than validation.min_duration_sec", "lower the bound if that is meant"),
    "too_long": Meaning("error", "longer than validation.max_duration_sec", "raise the bound if that is meant"),
    "near_silent": Meaning("error", "RMS below validation.near_silent_dbfs", "lower the bound if that is meant"),
    "size_wrap": Meaning("warning", "over 4 GiB with a 32-bit size; read to its real end", "write it as RF64"),
    "clipping": Meaning("warning", "more samples at full scale than validation.clipping_share", "listen to it"),
    "dc_offset": Meaning("warning", "mean sample beyond validation.dc_offset", "check the recorder"),
    "rate_unusual": Meaning("note", "sample rate outside validation.min_ and max_sample_rate_hz", "check the header"),
    "multichannel": Meaning("note", "more than one channel; reading takes their mean", "split it if that is wrong"),
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one file; ``value`` broke ``bound``."""

    wav_path: str
    reason: Reason
    detail: str = ""
    value: float | None = None
    bound: float | None = None

    def row(self) -> dict[str, Any]:
        return {**vars(self), "severity": MEANINGS[self.reason].severity}
