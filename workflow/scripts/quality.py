"""Rule quality: look at every trace of a corpus and say which can be learnt from."""

import argparse
from pathlib import Path

from audiorig.config import TraceChecksConfig
from audiorig.data.eda.quality import check_traces, require_traces, summarize_quality, write_excluded
from audiorig.data.eda.raw import RawTraces
from audiorig.data.manifest import read_table, write_table
from audiorig.data.validate import excluded_paths
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--checks", required=True, help="bounds of the checks, as JSON")
    parser.add_argument("--traces", type=Path, required=True, help="folder of the traces as they were read")
    parser.add_argument("--invalid", type=Path, required=True, help="what validation found in the songs")
    parser.add_argument("--folder", type=Path, required=True, help="written: a row per trace, what is left out, counts")
    arguments = parser.parse_args()
    with stage("quality", beside=arguments.folder / "quality.json"):
        index = read_table(arguments.traces / "index.parquet")
        raw = RawTraces(arguments.traces / "raw.arrow")
        invalid = excluded_paths(read_table(arguments.invalid))
        checks = TraceChecksConfig.model_validate_json(arguments.checks)
        quality = check_traces(index, raw, invalid, checks)
        require_traces(quality, arguments.corpus.parent.name)
        write_table(quality, arguments.folder / "quality.parquet")
        write_excluded(quality, arguments.folder / "excluded.csv")
        write_json(arguments.folder / "quality.json", summarize_quality(index, quality, checks.exclude))


if __name__ == "__main__":
    main()
