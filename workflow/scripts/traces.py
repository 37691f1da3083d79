"""Rule traces: what listeners' skin did while songs were played, as a table of traces and their samples."""

import argparse
from pathlib import Path

from audiorig.data.eda.index import INDEX, write_traces
from audiorig.data.manifest import read_table
from audiorig.data.storage import load_audio
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--manifest", type=Path, required=True, help="the corpus' audio")
    parser.add_argument("--folder", type=Path, required=True, help="written: the index, the samples and what is amiss")
    arguments = parser.parse_args()
    with stage("traces", beside=arguments.folder / INDEX) as record:
        corpus, root = load_audio(arguments.corpus)
        record |= write_traces(corpus, root, read_table(arguments.manifest), arguments.folder)


if __name__ == "__main__":
    main()
