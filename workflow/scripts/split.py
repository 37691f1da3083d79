"""Rule split: divide the valid files of a corpus into train, dev and test."""

import argparse
import logging
from pathlib import Path

from audiorig.config import SplitConfig
from audiorig.data.manifest import read_table
from audiorig.data.split import split_manifest, write_split
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--invalid", type=Path, required=True, help="problems found by validation")
    parser.add_argument("--settings", required=True, help="the split's settings, as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="written: the sides and split_summary.json")
    arguments = parser.parse_args()
    with stage("split", beside=arguments.folder / "split_summary.json"):
        settings = SplitConfig.model_validate_json(arguments.settings)
        manifest, invalid = read_table(arguments.manifest), read_table(arguments.invalid)
        sides = split_manifest(manifest, invalid, settings, arguments.folder.name)
        for warning in write_split(sides, settings, arguments.folder)["warnings"]:
            logging.warning("%s: no score can be given for it", warning)


if __name__ == "__main__":
    main()
