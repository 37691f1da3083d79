"""Rule score: what a tuned model answers about dev and test, and its scores beside controls."""

import argparse
from pathlib import Path

from audiorig.config import TuningRun
from audiorig.config_stages import load_run
from audiorig.data.clips import ClipDataset
from audiorig.data.manifest import write_table
from audiorig.data.pretrained import folder_of
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.data.storage import load_audio
from audiorig.errors import ConfigError
from audiorig.evaluate.clip_examples import write_arrays
from audiorig.evaluate.clip_stages import device, load_tuner, score_model, score_settings
from audiorig.files import write_json
from audiorig.models.encoders.build import load_for_tuning
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the scoring")
    parser.add_argument("--train-config", type=Path, required=True, help="settings of the training")
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--model", type=Path, required=True, help="folder of the tuned model")
    parser.add_argument("--base", type=Path, help="the encoder before tuning: its folder, or a file in it")
    parser.add_argument("--checkpoint", type=Path, help="weights that took the place of its own")
    parser.add_argument("--output", type=Path, required=True, help="written: the scores")
    parser.add_argument("--predictions", type=Path, required=True, help="written: answers, clip by clip")
    parser.add_argument("--examples", type=Path, required=True, help="written: what there is to look at")
    arguments = parser.parse_args()
    with stage("score", beside=arguments.output) as record:
        run = load_run(arguments.train_config)
        if not isinstance(run, TuningRun):
            raise ConfigError(f"{arguments.train_config}: a run of {run.experiment}, which tunes nothing to labels")
        corpus, root = load_audio(arguments.corpus)
        model = load_tuner(arguments.model)
        base = None
        if arguments.base:
            base = load_for_tuning(run.encoder, folder_of(arguments.base), arguments.checkpoint).to(device()).eval()
        # The training side too is read as in evaluation: whole clips, nothing augmented.
        clips = {
            side: ClipDataset(
                arguments.split / f"{side}.arrow",
                root,
                run.data,
                model.targets,
                model.sample_rate_hz,
                run.seed,
                side="test" if side == "test" else "dev",
                shortest=model.encoder.shortest,
            )
            for side in ("train", "dev", "test")
        }
        scored = score_model(
            model,
            clips,
            arguments.split,
            score_settings(arguments.config),
            run.experiment,
            base=base,
            pseudonyms=CorpusPseudonyms.of_split(arguments.split) if corpus.private else None,
            fetch=root.fetch_rows,
        )
        record |= scored.notes
        write_table(scored.predictions, arguments.predictions)
        write_arrays(arguments.examples, scored.arrays)
        write_json(arguments.output, scored.rows)


if __name__ == "__main__":
    main()
