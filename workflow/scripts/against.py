"""Rule against: a run minus another one, item by item paired."""

import argparse
from pathlib import Path

import pandas as pd

from audiorig.config import Run, TuningRun
from audiorig.config_stages import load_run
from audiorig.data.manifest import read_table
from audiorig.evaluate.answers_table import hit_table, read_answers
from audiorig.evaluate.paired import difference_rows, distance_items, probe_items
from audiorig.files import write_json
from audiorig.provenance import stage


def hits_of(run: Run, path: Path) -> pd.DataFrame:
    """Hits by item, which of a tuned model are made of its answers."""
    return hit_table(read_answers(path)) if isinstance(run, TuningRun) else read_table(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configs", type=Path, nargs=2, required=True, help="settings of both probes, ours first")
    parser.add_argument("--probes", type=Path, nargs=2, required=True, help="hits or answers by item, ours first")
    parser.add_argument("--reconstructions", type=Path, nargs="*", default=[], help="errors by item, ours first")
    parser.add_argument("--name", required=True, help="name of the other run")
    parser.add_argument("--output", type=Path, required=True, help="written: results/{run}/against.json")
    arguments = parser.parse_args()
    with stage("against"):
        runs = [load_run(path) for path in arguments.configs]
        # Both or neither: only a masked autoencoder rebuilds.
        reconstructions = [[path] for path in arguments.reconstructions] or [[], []]
        ours, theirs = (
            [
                *probe_items({str(hits): hits_of(run, hits)}, run.experiment).values(),
                *(item for errors in rebuilt for item in distance_items({str(errors): read_table(errors)}).values()),
            ]
            for run, hits, rebuilt in zip(runs, arguments.probes, reconstructions, strict=True)
        )
        settings = runs[0].score if isinstance(runs[0], TuningRun) else runs[0].probe
        write_json(arguments.output, difference_rows(ours, theirs, arguments.name, settings.bootstrap, settings.seed))


if __name__ == "__main__":
    main()
