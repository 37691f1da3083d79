"""Which encoder a run began with: enough to find it again, and to know that it is the same."""

from pathlib import Path
from typing import Any

from audiorig.config import EncoderConfig
from audiorig.data.pretrained import MANIFEST
from audiorig.files import file_digest, read_json


def encoder_record(settings: EncoderConfig, folder: Path, checkpoint: Path | None = None) -> dict[str, Any]:
    """What the record of a training says of the encoder that it was given.

    Args:
        folder: config.json, model.safetensors; beside them a manifest.json, if it was published or seeded.
        checkpoint: a bare file of weights that took the place of the folder's own.

    Returns:
        ``name``, ``family``, ``seeded`` (random numbers), ``folder``, ``weights_sha256``; ``hub_id``
        and ``revision`` of a published one, ``run`` of one that was trained here.
    """
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    record: dict[str, Any] = {
        "name": settings.pretrained or settings.run or folder.name,
        "family": settings.family,
        "seeded": bool(manifest.get("seeded")) and checkpoint is None,
        "folder": folder.as_posix(),
        "weights_sha256": weights_digest(folder, checkpoint),
    }
    if checkpoint is not None:
        record["checkpoint"] = checkpoint.as_posix()
    if settings.run is not None:
        record["run"] = settings.run
    return record | {key: manifest[key] for key in ("hub_id", "revision") if key in manifest}


def weights_digest(folder: Path, checkpoint: Path | None = None) -> str | dict[str, str]:
    """SHA-256 of the file of weights; of several, by name."""
    files = [checkpoint] if checkpoint is not None else sorted(folder.glob("model*.safetensors"))
    digests = {path.name: file_digest(path) for path in files}
    return next(iter(digests.values())) if len(digests) == 1 else digests
