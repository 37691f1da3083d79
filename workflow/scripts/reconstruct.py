"""Rule reconstruct: how well hidden frames of test clips are rebuilt."""

import argparse
from pathlib import Path

from audiorig.config_files import load_corpus, load_run
from audiorig.evaluate.reconstruction import save_examples
from audiorig.evaluate.stages import load_model, reconstruct_model
from audiorig.experiments.wavemae import crop_samples
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the stage")
    parser.add_argument("--data-config", type=Path, required=True, help="settings of the run's data")
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--output", type=Path, required=True, help="written: the scores")
    parser.add_argument("--examples", type=Path, required=True, help="written: spectrograms to look at")
    arguments = parser.parse_args()
    with stage("reconstruct", beside=arguments.output):
        run, data = load_run(arguments.config), load_run(arguments.data_config)
        _, root = load_corpus(arguments.corpus)
        rows, examples = reconstruct_model(
            load_model(arguments.model),
            arguments.split,
            root,
            run.probe,
            crop_samples(data.data, data.spectrogram),
            run.experiment,
        )
        save_examples(examples, arguments.examples)
        write_json(arguments.output, rows)


if __name__ == "__main__":
    main()
