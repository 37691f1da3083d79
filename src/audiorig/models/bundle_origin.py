"""The encoder that a bundle was tuned from: what is said of it, where it is, and whether it is the same."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from audiorig.config import EncoderConfig
from audiorig.data.pretrained import made_again
from audiorig.errors import DataError
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.encoders.build import build_encoder, load_for_tuning
from audiorig.models.encoders.record import weights_digest
from audiorig.models.encoders.weights import fill, stored_in_file


def base_weights(path: Path, record: Mapping[str, Any], description: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights of the encoder before it was tuned, by their names in it.

    Args:
        path: its folder, or a bare file of weights.
        record: with the digest that they must have.
        description: of the encoder, as it gives it itself.

    Raises:
        DataError: if they are missing or others.
    """
    if not (path / "config.json").is_file() and (path / "model" / "config.json").is_file():
        path = path / "model"
    expected = record["weights_sha256"]
    found = weights_digest(path, path if path.is_file() else None)
    if found != expected:
        raise DataError(
            f"{path}: found {'no weights' if not found else f'weights of SHA-256 {found}'}, expected those of "
            f"{_called(record)}, SHA-256 {expected}: {_remedy(record)}"
        )
    if path.is_file():
        encoder: SpeechEncoder = build_encoder(dict(description))
        fill(encoder.body, stored_in_file(path), encoder.family, path)
    else:
        wanted = {"family": record["family"], "folder": str(path), "pad_to_30s": description.get("pad_to_30s", False)}
        encoder = load_for_tuning(EncoderConfig.model_validate(wanted), path)
    return encoder.state_dict()


def portable_record(record: Mapping[str, Any], settings: EncoderConfig) -> dict[str, Any]:
    """What the bundle says of its encoder; a place outside of the project as the settings wrote it."""
    written = {"folder": settings.folder, "checkpoint": settings.checkpoint}
    places = {}
    for key in written.keys() & record.keys():
        path = Path(os.path.abspath(record[key]))
        inside = path.is_relative_to(Path.cwd())
        places[key] = path.relative_to(Path.cwd()).as_posix() if inside else written[key] or path.name
    return {**record, **places}


def find_encoder(record: Mapping[str, Any], bundle: Path, encoder: Path | None) -> Path:
    """Where the encoder's weights are: as somebody says, or below the project that the bundle or we are in."""
    if encoder is not None:
        if not encoder.exists():
            raise DataError(
                f"{encoder}: there is nothing here; expected {_called(record)}, a folder or a file of weights"
            )
        return encoder
    place = Path(os.path.expandvars(record.get("checkpoint") or record["folder"])).expanduser()
    for root in (Path.cwd(), *bundle.resolve().parents):
        if (root / place).exists():
            return root / place
    raise DataError(f"{bundle}: its encoder, {_called(record)}, is not at {place}: {_remedy(record)}")


def _called(record: Mapping[str, Any]) -> str:
    if "run" in record:
        return f"the model of run {record['run']!r}"
    if "checkpoint" in record:
        return f"the file {Path(record['checkpoint']).name}"
    if "hub_id" not in record or record.get("seeded"):
        return str(record["name"])
    return f"{record['name']} ({record['hub_id']} at {record['revision']})"


def _remedy(record: Mapping[str, Any]) -> str:
    elsewhere = "say where it is (--encoder, load_bundle(folder, encoder))"
    if "run" in record:
        return f"bring the very training that the bundle was made from, results/{record['run']}/model, or {elsewhere}"
    if "hub_id" in record and "checkpoint" not in record:
        command = made_again(Path("pretrained") / record["name"], is_seeded=bool(record.get("seeded")))
        return f"run `{command}` in the project, or {elsewhere}"
    return elsewhere
