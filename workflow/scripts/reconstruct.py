"""Rule reconstruct: how well hidden frames of test clips are rebuilt."""

import argparse
from pathlib import Path

from audiorig.config_stages import load_corpus, load_run
from audiorig.evaluate.rebuild import save_examples
from audiorig.evaluate.stages import load_model, reconstruct_model
from audiorig.experiments.wavemae import crop_samples, pitch_of_clips
from audiorig.files import write_json, written_aside
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the stage")
    parser.add_argument("--data-config", type=Path, required=True, help="settings of the run's data")
    parser.add_argument("--features-config", type=Path, required=True, help="settings of the run's pitch")
    parser.add_argument("--pitch", type=Path, nargs="*", default=[], help="shards of measured pitch")
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--output", type=Path, required=True, help="written: the scores")
    parser.add_argument("--examples", type=Path, required=True, help="written: clips to look at and listen to")
    parser.add_argument("--items", type=Path, required=True, help="written: errors by clip")
    arguments = parser.parse_args()
    with stage("reconstruct", beside=arguments.output):
        run = load_run(arguments.config)
        data, features = load_run(arguments.data_config), load_run(arguments.features_config)
        _, root = load_corpus(arguments.corpus)
        model = load_model(arguments.model)
        pitch = pitch_of_clips(model, features.pitch, arguments.pitch)
        found = reconstruct_model(
            model,
            arguments.split,
            root,
            run.probe,
            crop_samples(data.data, data.spectrogram),
            run.experiment,
            pitch,
        )
        save_examples(found.examples, arguments.examples, model.config.sample_rate_hz)
        with written_aside(arguments.items) as aside:
            found.items.to_parquet(aside, index=False)
        write_json(arguments.output, found.rows)


if __name__ == "__main__":
    main()
