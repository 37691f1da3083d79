"""What of a model goes to the Hub: weights, settings and the card, each with its digest, and nothing else."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiorig.errors import DataError
from audiorig.files import MACHINE_PATH, file_digest

CARD, CONFIG, PREPROCESSOR = "README.md", "config.json", "preprocessor_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
# Our own models know their rate and transform themselves; all others need the settings of what reads audio for them.
KNOW_THEIR_INPUT = ("wavemae", "audiorig-tuner")
# Their being there means that something went wrong, so that the rest cannot be trusted either.
NEVER = (
    *(".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".w64", ".rf64", ".aif", ".aiff", ".au", ".tar", ".zip"),
    *(".parquet", ".arrow", ".csv", ".tsv", ".jsonl", ".npy", ".npz"),
)


@dataclass(frozen=True)
class PlannedFile:
    """A file as it will be called on the Hub, and where it lies here."""

    path: str
    size: int
    sha256: str
    source: Path

    def stated(self) -> dict[str, Any]:
        """What records say of it."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class UploadPlan:
    """Attributes:
    files: all that will be on the Hub, in order.
    stays: files of the model's folder that do not go.
    """

    files: tuple[PlannedFile, ...]
    stays: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def plan_upload(folder: Path, card: Path) -> UploadPlan:
    """Look at a model's folder, and decide on an allow list what goes.

    Args:
        folder: as ``save_pretrained`` wrote it.
        card: README.md for the Hub; it takes the place of the folder's own.

    Raises:
        DataError: if something is missing or broken, if there is what a model's folder never holds (audio,
            tables, links), or a text names a path of this machine.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no model here: train it first")
    found = sorted(folder.rglob("*"))
    for path in found:
        if path.is_symlink():
            raise DataError(f"{path}: is a link, and what it shows is no part of the model: put the file itself there")
        if path.suffix.lower() in NEVER:
            raise DataError(f"{path}: no file of this kind belongs to a model, and none ever goes: take it away")
    names = {path.relative_to(folder).as_posix(): path for path in found if path.is_file()}
    weights = _weights(folder, names)
    if CONFIG not in names:
        raise DataError(f"{folder / CONFIG}: found no file: train again")
    wanted = [CONFIG, *weights, *([PREPROCESSOR] if _needs_preprocessor(folder, names) else [])]
    sources = {**{name: names[name] for name in wanted}, CARD: card}
    for name, source in sources.items():
        _check(name, source)
    files = (
        PlannedFile(name, source.stat().st_size, file_digest(source), source)
        for name, source in sorted(sources.items())
    )
    return UploadPlan(tuple(files), tuple(name for name in names if name not in sources))


def table(plan: UploadPlan) -> str:
    """The files, a line each, with their sizes and the beginnings of their digests."""
    width = max(len(file.path) for file in plan.files)
    lines = [f"  {file.path:<{width}}  {_size(file.size):>10}  sha256 {file.sha256[:16]}" for file in plan.files]
    lines.append(f"  {'together':<{width}}  {_size(plan.size):>10}")
    return "\n".join(lines + ([f"  stay here: {', '.join(plan.stays)}"] if plan.stays else []))


def machine_paths(text: str) -> list[str]:
    """Paths of a machine that a text names."""
    own = [str(place) for place in (Path.home(), Path.cwd()) if len(place.parts) > 1 and str(place) in text]
    return list(dict.fromkeys([*(found[0] for found in MACHINE_PATH.finditer(text)), *own]))


def _weights(folder: Path, names: dict[str, Path]) -> list[str]:
    """The file of the weights, or the index with all shards that it lists."""
    if INDEX not in names:
        if WEIGHTS not in names:
            raise DataError(f"{folder / WEIGHTS}: found no file, and pickled weights never go: train again")
        return [WEIGHTS]
    if WEIGHTS in names:
        raise DataError(f"{folder}: holds {WEIGHTS} and {INDEX}: which are the weights? Take the others away")
    shards = sorted(set(_json(names[INDEX]).get("weight_map", {}).values()))
    for shard in shards:
        if not SHARD.fullmatch(shard) or shard not in names:
            raise DataError(f"{folder / shard}: is listed in {INDEX}, but found no such shard: train again")
    return [INDEX, *shards]


def _needs_preprocessor(folder: Path, names: dict[str, Path]) -> bool:
    if _json(names[CONFIG]).get("model_type") in KNOW_THEIR_INPUT:
        return False
    if PREPROCESSOR not in names:
        raise DataError(
            f"{folder / PREPROCESSOR}: found no file, and without it nobody knows whether audio is to be normalised: "
            "copy it from the base checkpoint"
        )
    return True


def _check(name: str, source: Path) -> None:
    """Refuse weights that are cut off, and texts that name places on this machine."""
    if source.suffix == ".safetensors":
        texts = _header_of(source)
    else:
        text = source.read_text(encoding="utf-8")
        texts = list(_strings(_json(source))) if source.suffix == ".json" else [text]
    for each in texts:
        if paths := machine_paths(each):
            raise DataError(f"{source}: names {paths[0]}, a path of this machine: take it out of {name}")


def _header_of(path: Path) -> list[str]:
    """The notes in a file of weights, once its length is what its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header: dict[str, Any] = json.loads(file.read(length)) if 0 < length <= size - 8 else {"": None}
            notes = header.pop("__metadata__", {})
            expected = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
        except (ValueError, AttributeError, KeyError, TypeError):
            raise DataError(f"{path}: is no file of safetensors: train again") from None
    if size != expected:
        raise DataError(f"{path}: found {size} bytes, expected {expected} by its own header: train again")
    return [*map(str, notes), *map(str, notes.values())]


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise DataError(f"{path}: is no JSON of settings: train again")
    return content


def _strings(value: Any) -> list[str]:
    """Every text in a JSON value, names of keys among them."""
    if isinstance(value, dict):
        return [text for key, each in value.items() for text in (str(key), *_strings(each))]
    if isinstance(value, list):
        return [text for each in value for text in _strings(each)]
    return [value] if isinstance(value, str) else []


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"
