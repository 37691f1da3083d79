"""Rule validate: read every file once and report everything that is wrong with it."""

import argparse
from pathlib import Path

from audiorig.config import ValidationConfig
from audiorig.data.manifest import read_table, write_table
from audiorig.data.storage import load_audio
from audiorig.data.validate import validate_corpus
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--bounds", required=True, help="the checks' bounds, as JSON")
    parser.add_argument("--invalid", type=Path, required=True, help="written: a row per file and reason")
    parser.add_argument("--stats", type=Path, required=True, help="written: a row per readable file")
    parser.add_argument("--summary", type=Path, required=True, help="written: counts and hours")
    parser.add_argument("--workers", type=int, default=2, help="processes that read files")
    arguments = parser.parse_args()
    with stage("validate", beside=arguments.summary):
        _, root = load_audio(arguments.corpus)
        manifest = read_table(arguments.manifest)
        root.fetch_rows(manifest)
        bounds = ValidationConfig.model_validate_json(arguments.bounds)
        invalid, stats, summary = validate_corpus(manifest, root.folder, bounds, arguments.workers)
        write_table(invalid, arguments.invalid)
        write_table(stats, arguments.stats)
        write_json(arguments.summary, summary)


if __name__ == "__main__":
    main()
