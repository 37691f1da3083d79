"""Rule scan_shard: read the headers of a share of a corpus' files."""

import argparse
from pathlib import Path

from audiorig.data.listing import read_listing
from audiorig.data.manifest import scan_corpus
from audiorig.data.scan import write_scan
from audiorig.data.storage import load_audio
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--files", type=Path, required=True, help="what list_files wrote")
    parser.add_argument("--shard", type=int, required=True, help="which share: 0 to num-shards - 1")
    parser.add_argument("--num-shards", type=int, required=True)
    parser.add_argument("--memory", type=Path, help="the last scan is kept here: what is unchanged is not read again")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with stage("scan_shard"):
        corpus, root = load_audio(arguments.corpus)
        listing = read_listing(arguments.files).shard(arguments.shard, arguments.num_shards)
        write_scan(scan_corpus(corpus, root, listing, arguments.threads, arguments.memory), arguments.output)


if __name__ == "__main__":
    main()
