"""Checking one file: what its header says, what its samples are, and whether the two agree."""

import errno
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import soundfile

from audiorig.config import Reason, ValidationConfig
from audiorig.data.audio import source_of
from audiorig.data.compressed import SAMPLES_PER_BYTE
from audiorig.data.levels import Levels
from audiorig.data.reasons import MEANINGS, Problem
from audiorig.data.rolloff import Windows
from audiorig.data.streams import Stream, open_stream

MP3_FRAME = 1152  # samples; the length of an MP3 without a Xing header is a guess, off by less than this
REFUSALS: dict[int, Reason] = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.ELOOP: "link_loop",
}


class Clip(NamedTuple):
    """What validation needs of a manifest row; ``has_length`` if it gives a duration."""

    wav_path: str
    num_bytes: int = 0
    problem: str | None = None
    archive_offset: int | None = None
    archive_size: int | None = None
    has_length: bool = True


class Report(NamedTuple):
    """What was found in one file; statistics only if it could be read to its end."""

    problems: list[Problem]
    stats: dict[str, Any] | None


def check_file(root: Path, wav_path: str, bounds: ValidationConfig) -> Report:
    """All problems of one file, and its statistics, found in this very process."""
    return check_clip(root, bounds, Clip(wav_path))


def check_clip(root: Path, bounds: ValidationConfig, clip: Clip) -> Report:
    """All problems of one row of a manifest, and its statistics."""

    def failed(reason: Reason, detail: str) -> Report:
        return Report([Problem(clip.wav_path, reason, detail)], None)

    if clip.problem:
        return failed(cast(Reason, clip.problem), "found when the corpus was listed")
    source = source_of(root, clip.wav_path, clip.archive_offset, clip.archive_size)
    try:
        # A pipe must not even be opened: its writer would wake up.
        if not stat.S_ISREG(os.stat(source.path).st_mode):
            return failed("not_regular", "no regular file")
        descriptor = os.open(source.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return failed(REFUSALS.get(error.errno or 0, "unreadable_header"), error.strerror or str(error))
    except ValueError as error:
        return failed("bad_name", str(error))
    try:
        held = os.fstat(descriptor).st_size - source.offset
        size = held if source.size is None else max(0, min(held, source.size))
        with open_stream(descriptor, source.offset, size, source.size is not None) as stream:
            if stream.header is None and stream.num_promised > SAMPLES_PER_BYTE * size:
                return failed("unreadable_header", "it promises more samples than its bytes can hold, or does not know")
            report = _check_stream(stream, clip.wav_path, bounds)
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError, MemoryError) as error:
        return failed("unreadable_header", _text(error))
    finally:
        os.close(descriptor)
    if not clip.has_length and all(MEANINGS[problem.reason].is_readable for problem in report.problems):
        report.problems.append(Problem(clip.wav_path, "unreadable_header", "the manifest has no duration for it"))
    return report


def _check_stream(stream: Stream, wav_path: str, bounds: ValidationConfig) -> Report:
    problems = list(_header_problems(stream, wav_path, bounds))
    if any(problem.reason == "codec_not_allowed" for problem in problems):
        return Report(problems, None)
    levels = Levels(stream.scale, stream.full_scale, stream.frame_values, bounds.near_silent_dbfs)
    windows = Windows(stream.num_promised if stream.header is None else stream.header.num_frames)
    num_samples = 0
    try:
        for block in stream.blocks:
            levels.add(block.reshape(-1))
            windows.add(block, num_samples)
            num_samples += len(block)
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError, MemoryError) as error:
        problems.append(Problem(wav_path, "decode_error", _text(error)))
        return Report(problems, None)
    if num_samples == 0:
        problems.append(Problem(wav_path, "zero_frames", "a header without samples", 0, 1))
        return Report(problems, None)
    stats = {
        "wav_path": wav_path,
        **levels.stats(),
        "num_samples": num_samples,
        "measured_duration_sec": num_samples / stream.sample_rate_hz,
        "declared_duration_sec": stream.num_promised / stream.sample_rate_hz,
        "rolloff_hz": windows.rolloff_hz(stream.sample_rate_hz),
    }
    return Report([*problems, *_judge(stats, stream, num_samples, bounds)], stats)


def _header_problems(stream: Stream, wav_path: str, bounds: ValidationConfig) -> Iterator[Problem]:
    if bounds.allowed_codecs is not None and stream.codec not in bounds.allowed_codecs:
        yield Problem(wav_path, "codec_not_allowed", stream.codec)
    if (header := stream.header) is not None:
        if header.missing_bytes:
            detail = "bytes that the header promises are absent"
            yield Problem(wav_path, "truncated", detail, float(header.missing_bytes), 0.0)
        if header.has_wrapped:
            yield Problem(wav_path, "size_wrap", "its real length is used", float(header.num_frames))


def _judge(stats: dict[str, Any], stream: Stream, num_samples: int, bounds: ValidationConfig) -> Iterator[Problem]:
    duration, rate, channels = stats["measured_duration_sec"], stream.sample_rate_hz, stream.channels
    lowest, highest = bounds.min_sample_rate_hz, bounds.max_sample_rate_hz
    level, clipped, offset = stats["rms_dbfs"], stats["clipping_share"], stats["dc_offset"]
    bad_samples, longest = stats["num_non_finite"], bounds.max_duration_sec or math.inf
    promised = stream.header.num_frames if stream.header else stream.num_promised
    short_by, may_lack = promised - num_samples, MP3_FRAME if stream.codec.startswith("mp") else 0
    checks: list[tuple[Reason, bool, str, float, float]] = [  # reason, is it so, what the value is, value, bound
        ("truncated", short_by > may_lack, "samples that the header promises are absent", short_by, may_lack),
        ("non_finite", bad_samples > 0, "samples that are NaN or infinite", bad_samples, 0),
        ("too_short", duration < bounds.min_duration_sec, "seconds", duration, bounds.min_duration_sec),
        ("too_long", duration > longest, "seconds", duration, longest),
        ("near_silent", level < bounds.near_silent_dbfs, "dBFS", level, bounds.near_silent_dbfs),
        ("clipping", clipped > bounds.clipping_share, "share of samples", clipped, bounds.clipping_share),
        ("dc_offset", abs(offset) > bounds.dc_offset, "mean sample", offset, bounds.dc_offset),
        ("rate_unusual", not lowest <= rate <= highest, "Hz", rate, lowest if rate < lowest else highest),
        ("multichannel", channels > 1, "channels; reading takes their mean", channels, 1),
    ]
    for reason, is_so, detail, value, bound in checks:
        if is_so:
            yield Problem(stats["wav_path"], reason, detail, float(value), float(bound))


def _text(error: Exception) -> str:
    return str(getattr(error, "error_string", None) or error or type(error).__name__).rstrip(".")
