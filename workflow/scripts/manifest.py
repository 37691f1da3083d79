"""Rule manifest: every audio file of a corpus becomes a row of one sorted table."""

import argparse
from pathlib import Path

from audiorig.data.manifest import assemble_manifest, build_manifest, write_table
from audiorig.data.scan import read_scan
from audiorig.data.storage import load_audio
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--scans", type=Path, nargs="*", default=[], help="scans of the corpus' shards, in order")
    parser.add_argument("--memory", type=Path, help="the last scan is kept here: what is unchanged is not read again")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with stage("manifest", beside=arguments.output):
        corpus, root = load_audio(arguments.corpus)
        if arguments.scans:
            manifest = assemble_manifest(corpus, root, map(read_scan, arguments.scans))
        else:
            manifest = build_manifest(corpus, root, arguments.threads, arguments.memory)
        write_table(manifest, arguments.output)


if __name__ == "__main__":
    main()
