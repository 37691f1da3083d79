"""Published weights that are only there as a pickle, written anew in a format that cannot run code.

The pickle is read by torch's own reader of weights, which knows tensors and containers and calls
nothing else; whatever asks for more is refused before it runs.
"""

import logging
import warnings
import zipfile
from pathlib import Path
from typing import Any

from audiorig.errors import DataError
from audiorig.files import written_aside

log = logging.getLogger(__name__)


def to_safetensors(pickled: Path, target: Path) -> None:
    """Write the tensors of a ``pytorch_model.bin`` to ``target``, with the names that they have.

    Old names (``weight_g`` and ``weight_v`` of a weight-normed convolution) stay: ``from_pretrained``
    maps them, in safetensors as in pickles. Tensors that share memory are written twice.

    Raises:
        DataError: if the file holds anything but tensors by name; no code of it is run.
    """
    import torch
    from safetensors.torch import save_file

    kept: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, tensor in _read(pickled).items():
        storage = tensor.untyped_storage().data_ptr()
        tensor = tensor.detach().contiguous()
        kept[name] = tensor.clone() if storage in storages else tensor
        storages.add(storage)
    with written_aside(target) as aside:
        save_file(kept, aside, metadata={"format": "pt"})
    log.info("%s: %d tensors written anew as %s", pickled.name, len(kept), target.name)


def _read(path: Path) -> dict[str, Any]:
    import torch

    is_zip = zipfile.is_zipfile(path)  # what was saved before 2020 is a plain pickle, and cannot be mapped
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TorchScript, which is refused right after
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # what a reader raises on bytes that anybody can have written has no end
        kind = type(error).__name__
        raise DataError(
            f"{path.name}: is no plain pickle of weights ({kind}): it asks for code to be run, which never happens "
            "here, or is broken: pin another commit in config/pretrained.yaml"
        ) from None
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path.name}: holds a {type(found).__name__}, expected tensors by name: pin another commit")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise DataError(
                f"{path.name}: {name!r} is a {type(tensor).__name__}, expected a tensor: pin another commit"
            )
    return found
