"""Rule mfcc: coefficients of every song of a corpus' share, once."""

import argparse
from pathlib import Path

import torch

from audiorig.config import MfccConfig
from audiorig.data.eda.mfcc import songs_of, write_mfcc
from audiorig.data.feature_store import shard_of
from audiorig.data.manifest import read_table
from audiorig.data.storage import load_audio
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--mfcc", required=True, help="settings, as the folder's name writes them")
    parser.add_argument("--shard", type=int, required=True, help="which share: 0 to num-shards - 1")
    parser.add_argument("--num-shards", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with stage("mfcc", beside=arguments.output) as record:
        torch.set_num_threads(1)  # shards are what runs side by side
        _, root = load_audio(arguments.corpus)
        songs = shard_of(songs_of(read_table(arguments.manifest)), arguments.shard, arguments.num_shards)
        root.fetch_rows(songs)
        assumptions = write_mfcc(songs, root, MfccConfig.of_key(arguments.mfcc), arguments.output)
        record["assumptions"] = assumptions.as_list()


if __name__ == "__main__":
    main()
