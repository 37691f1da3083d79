"""Rule remove_pretrained: take the downloaded weights of a finished run off the disk."""

import argparse
from pathlib import Path

from audiorig.data.pretrained import folder_of, remove_weights
from audiorig.errors import ConfigError
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, nargs="*", default=[], help="of the fetched model")
    parser.add_argument("--output", type=Path, required=True, help="written: which files are gone")
    arguments = parser.parse_args()
    with stage("remove_pretrained"):
        if not arguments.manifest:
            raise ConfigError(
                f"{arguments.output.parent.name}: the run began with no downloaded model: nothing to remove"
            )
        folder = folder_of(arguments.manifest[0])
        write_json(arguments.output, {"folder": folder.as_posix(), "removed": remove_weights(folder)})


if __name__ == "__main__":
    main()
