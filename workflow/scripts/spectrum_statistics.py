"""Rule spectrum_statistics: mean and deviation of each STFT bin over the training side."""

import argparse
from pathlib import Path

from audiorig.config_stages import load_corpus, load_run
from audiorig.experiments.statistics import split_statistics
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the stage")
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with stage("spectrum_statistics", beside=arguments.output):
        run = load_run(arguments.config)
        _, root = load_corpus(arguments.corpus)
        split_statistics(arguments.split, root, run.data, run.spectrogram).save(arguments.output)


if __name__ == "__main__":
    main()
