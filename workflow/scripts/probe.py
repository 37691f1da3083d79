"""Rule probe: what a frozen encoder knows, beside its controls."""

import argparse
from pathlib import Path

from audiorig.config_stages import load_corpus, load_run
from audiorig.data.manifest import write_table
from audiorig.evaluate.stages import load_model, probe_model
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the stage")
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--output", type=Path, required=True, help="written: the scores")
    parser.add_argument("--items", type=Path, help="written: hits by item; by default items.parquet beside the scores")
    arguments = parser.parse_args()
    with stage("probe", beside=arguments.output):
        run = load_run(arguments.config)
        _, root = load_corpus(arguments.corpus)
        model = load_model(arguments.model)
        rows, items = probe_model(model, arguments.split, root, run.probe, run.experiment)
        write_table(items, arguments.items or arguments.output.with_name("items.parquet"))
        write_json(arguments.output, rows)


if __name__ == "__main__":
    main()
