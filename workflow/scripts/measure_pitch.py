"""Rule measure_pitch: the pitch of every file of a corpus' share, once."""

import argparse
from pathlib import Path

import torch

from audiorig.config import PitchConfig
from audiorig.config_stages import load_corpus
from audiorig.experiments.features import measure_pitch
from audiorig.models.pitch.track import PitchTracker
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--pitch", required=True, help="settings, as the folder's name writes them")
    parser.add_argument("--shard", type=int, required=True, help="which share: 0 to num-shards - 1")
    parser.add_argument("--num-shards", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with stage("measure_pitch", beside=arguments.output):
        torch.set_num_threads(arguments.threads)
        _, root = load_corpus(arguments.corpus)
        settings, rate_hz, hop = PitchConfig.of_key(arguments.pitch)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        tracker = PitchTracker(settings, rate_hz, hop, device)
        shares = (arguments.shard, arguments.num_shards)
        measure_pitch(arguments.manifest, root, tracker, rate_hz, hop, *shares, arguments.output)


if __name__ == "__main__":
    main()
