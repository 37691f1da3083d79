"""Rule bundle: what a run has learnt, in a small folder that answers."""

import argparse
from pathlib import Path

from audiorig.config_stages import load_run
from audiorig.data.pretrained import folder_of
from audiorig.models.bundle import pack
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-config", type=Path, required=True, help="settings of the training")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--model", type=Path, required=True, help="the tuned model")
    parser.add_argument("--base", type=Path, required=True, help="the encoder before: its folder, or a file in it")
    parser.add_argument("--checkpoint", type=Path, help="weights that took the place of its own")
    parser.add_argument("--scores", type=Path, required=True, help="scores, with the thresholds that dev chose")
    parser.add_argument("--training", type=Path, required=True, help="record of the training")
    parser.add_argument("--output", type=Path, required=True, help="written: results/{run}/bundle")
    arguments = parser.parse_args()
    with stage("bundle", beside=arguments.output):
        pack(
            load_run(arguments.train_config),
            model=arguments.model,
            base=arguments.checkpoint or folder_of(arguments.base),
            split=arguments.split,
            scores=arguments.scores,
            training=arguments.training,
            output=arguments.output,
        )


if __name__ == "__main__":
    main()
