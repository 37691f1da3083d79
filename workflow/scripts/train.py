"""Rule train: one experiment's split becomes its checkpoint.

Run again after any stop, it goes on from the newest whole checkpoint. Several processes of torchrun
or srun share one training; the first of them writes.
"""

import argparse
import logging
from pathlib import Path

from audiorig import experiments
from audiorig.config_stages import load_run, run_name
from audiorig.data.pretrained import MANIFEST, folder_of, verify
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.data.recording_cache import copies_of
from audiorig.data.storage import load_audio
from audiorig.provenance import environment, stage
from audiorig.publish.secrets import hide_in_output, read_environment
from audiorig.report.card import model_card
from audiorig.train import ranks
from audiorig.train.devices import require_machine
from audiorig.train.export import export
from audiorig.train.fit import fit
from audiorig.train.start import weights_digest
from audiorig.train.wandb_log import require_wandb, without_names


def only(paths: list[Path]) -> Path | None:
    """The file of an option that not every experiment has."""
    return paths[0] if paths else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the stage")
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument(
        "--statistics", type=Path, nargs="*", default=[], help="per-bin statistics of the training side"
    )
    parser.add_argument("--pitch", type=Path, nargs="*", default=[], help="shards of measured pitch")
    parser.add_argument("--teacher", type=Path, nargs="*", default=[], help="shards of a teacher's features")
    parser.add_argument("--reduction", type=Path, nargs="*", default=[], help="scale and axes of these features")
    parser.add_argument(
        "--pretrained",
        type=Path,
        nargs="*",
        default=[],
        help="manifest, settings or folder of a network: to go on from, to tune, or a live teacher",
    )
    parser.add_argument("--checkpoint", type=Path, nargs="*", default=[], help="weights that take the place of its own")
    parser.add_argument(
        "--copies", type=Path, nargs="*", default=[], help="record of the corpus' copies, to read those"
    )
    parser.add_argument("--mfcc", type=Path, nargs="*", default=[], help="shards of the songs' coefficients")
    parser.add_argument("--traces", type=Path, nargs="*", default=[], help="listeners' traces at the predicted rate")
    parser.add_argument("--start", type=Path, nargs="*", default=[], help="weights to begin with, of the same model")
    parser.add_argument("--folder", type=Path, required=True, help="the run's folder, results/{run}")
    parser.add_argument("--resume_from_checkpoint", type=Path, help="go on from this one, not from the newest")
    parser.add_argument("--stop_after_steps", type=int, help="stop in good order after so many steps")
    parser.add_argument("--env-file", type=Path, default=Path(".env"), help="WANDB_API_KEY, where wandb is told")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="e.g. train.learning_rate=3e-4")
    arguments = parser.parse_args()
    final = arguments.folder / "final.ckpt"
    with (
        stage("train", beside=final if ranks.is_main() else None) as record,
        ranks.joined(arguments.folder / "owner.json"),
    ):
        run = load_run(arguments.config, arguments.set)
        wandb_key = None
        if run.log.wandb.mode != "disabled":
            secrets = read_environment(arguments.env_file)
            hide_in_output(secrets.secrets)
            wandb_key = secrets.wandb_api_key
        require_machine(run.train)  # before anything is read
        require_wandb(run.log, wandb_key)
        corpus, audio = load_audio(arguments.corpus)
        inputs = experiments.Inputs(
            split=arguments.split,
            root=copies_of(arguments.copies[0], arguments.split) if arguments.copies else audio.folder,
            folder=arguments.folder,
            statistics=only(arguments.statistics),
            pitch=tuple(arguments.pitch),
            teacher=tuple(arguments.teacher),
            reduction=only(arguments.reduction),
            pretrained=folder_of(arguments.pretrained[0]) if arguments.pretrained else None,
            checkpoint=only(arguments.checkpoint),
            audio=audio,
            mfcc=tuple(arguments.mfcc),
            traces=only(arguments.traces),
            is_private=corpus.private,
        )
        if inputs.pretrained is not None and (inputs.pretrained / MANIFEST).is_file():
            verify(inputs.pretrained)  # before a single tensor is read
        experiment = experiments.build(run, inputs)
        record["settings"] = settings = run.stage("train")
        record["num_parameters"] = experiment.model.num_parameters()
        record |= {"private": corpus.private, **experiment.about}
        logging.info("%s", ", ".join(f"{name}: {value}" for name, value in experiment.about.items()))
        start = only(arguments.start)
        pseudonyms = CorpusPseudonyms.of_split(arguments.split) if corpus.private else None
        history, record["first_step"] = fit(
            experiment,
            run.train,
            arguments.folder,
            run.seed,
            log=run.log,
            start_weights=start,
            run_settings=without_names(settings, pseudonyms),
            wandb_key=wandb_key,
            resume_from=arguments.resume_from_checkpoint,
            stop_after_steps=arguments.stop_after_steps,
        )
        if start is not None:
            record["start_weights_sha256"] = weights_digest(start)
        if ranks.is_main():
            export(
                experiment.model,
                history,
                final=final,
                model_folder=arguments.folder / "model",
                history_file=arguments.folder / "history.json",
                settings=settings,
                provenance=environment(),
                card=model_card(
                    run_name(arguments.folder),
                    run,
                    corpus,
                    pseudonyms,
                    is_from_scratch=bool(experiment.about.get("base", {}).get("seeded")),
                ),
            )


if __name__ == "__main__":
    ranks.run(main)
