"""Rule list_files: the names of a large corpus' files, for the jobs that share the reading of their headers."""

import argparse
from pathlib import Path

from audiorig.data.listing import write_listing
from audiorig.data.manifest import list_corpus
from audiorig.data.storage import load_audio
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with stage("list_files"):
        corpus, root = load_audio(arguments.corpus)
        write_listing(list_corpus(corpus, root), arguments.output)


if __name__ == "__main__":
    main()
