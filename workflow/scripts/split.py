"""Rule split: divide the valid files of a corpus, or its listeners' traces, into train, dev and test."""

import argparse
import logging
from pathlib import Path

from audiorig.config import SplitConfig
from audiorig.data.eda.trace_split import divide_traces
from audiorig.data.eda.trace_split_summary import write_trace_split
from audiorig.data.manifest import read_table
from audiorig.data.split import split_manifest, write_split
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--invalid", type=Path, required=True, help="problems found by validation")
    parser.add_argument("--index", type=Path, help="traces of listeners: they are divided, not the files")
    parser.add_argument("--quality", type=Path, help="which traces are kept; goes with --index")
    parser.add_argument("--settings", required=True, help="the split's settings, as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="written: the sides and split_summary.json")
    arguments = parser.parse_args()
    if (arguments.index is None) != (arguments.quality is None):
        parser.error("--index and --quality go together")
    with stage("split", beside=arguments.folder / "split_summary.json"):
        settings = SplitConfig.model_validate_json(arguments.settings)
        manifest, invalid = read_table(arguments.manifest), read_table(arguments.invalid)
        if arguments.index:
            index, quality = read_table(arguments.index), read_table(arguments.quality)
            split = divide_traces(index, quality, settings, arguments.folder.name, manifest)
            write_trace_split(split, settings, arguments.folder)
            return
        sides = split_manifest(manifest, invalid, settings, arguments.folder.name)
        for warning in write_split(sides, settings, arguments.folder)["warnings"]:
            logging.warning("%s: no score can be given for it", warning)


if __name__ == "__main__":
    main()
