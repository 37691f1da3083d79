"""Rule probe: what a frozen encoder knows, beside its controls."""

import argparse
from pathlib import Path

from audiorig.config_stages import load_corpus, load_run
from audiorig.data.manifest import read_table, write_table
from audiorig.evaluate.pretext import load_networks, pretext_rows
from audiorig.evaluate.probing import probe_model
from audiorig.files import write_json
from audiorig.models.trained import load_encoder
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the stage")
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--before", type=Path, help="folder of the model that was adapted, to compare with")
    parser.add_argument("--segments", type=Path, help="labelled stretches, where the corpus has annotations")
    parser.add_argument(
        "--train-config", type=Path, help="settings of a wav2vec2's training: its own task is scored too"
    )
    parser.add_argument("--output", type=Path, required=True, help="written: the scores")
    parser.add_argument("--items", type=Path, help="written: hits by item; by default items.parquet beside the scores")
    arguments = parser.parse_args()
    with stage("probe", beside=arguments.output):
        run = load_run(arguments.config)
        _, root = load_corpus(arguments.corpus)
        rows, items = probe_model(
            load_encoder(arguments.model),
            arguments.split,
            root,
            run.probe,
            run.experiment,
            before=load_encoder(arguments.before) if arguments.before else None,
            segments=read_table(arguments.segments) if arguments.segments else None,
        )
        if arguments.train_config:
            trained = load_run(arguments.train_config)
            networks = load_networks(arguments.model, arguments.before, trained, run.experiment)
            rows += pretext_rows(networks, arguments.split, root, trained, run.probe, run.experiment)
        write_table(items, arguments.items or arguments.output.with_name("items.parquet"))
        write_json(arguments.output, rows)


if __name__ == "__main__":
    main()
