"""Rule segments: the labelled stretches of a corpus' recordings, as one table."""

import argparse
from pathlib import Path

from audiorig.config_stages import load_corpus
from audiorig.data.manifest import read_table, write_table
from audiorig.data.segments import read_segments
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="written: a row per stretch")
    arguments = parser.parse_args()
    with stage("segments", beside=arguments.output) as record:
        corpus, root = load_corpus(arguments.corpus)
        segments = read_segments(corpus, root, read_table(arguments.manifest))
        record["num_segments"] = len(segments)
        write_table(segments, arguments.output)


if __name__ == "__main__":
    main()
