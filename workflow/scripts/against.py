"""Rule against: a run minus another one, item by item paired."""

import argparse
from pathlib import Path

from audiorig.config_stages import load_run
from audiorig.data.manifest import read_table
from audiorig.evaluate.paired import difference_rows, distance_items, probe_items
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configs", type=Path, nargs=2, required=True, help="settings of both probes, ours first")
    parser.add_argument("--probes", type=Path, nargs=2, required=True, help="hits by item, ours first")
    parser.add_argument("--reconstructions", type=Path, nargs=2, required=True, help="errors by item, ours first")
    parser.add_argument("--name", required=True, help="name of the other run")
    parser.add_argument("--output", type=Path, required=True, help="written: results/{run}/against.json")
    arguments = parser.parse_args()
    with stage("against"):
        runs = [load_run(path) for path in arguments.configs]
        ours, theirs = (
            [
                *probe_items({str(hits): read_table(hits)}, run.experiment).values(),
                *distance_items({str(errors): read_table(errors)}).values(),
            ]
            for run, hits, errors in zip(runs, arguments.probes, arguments.reconstructions, strict=True)
        )
        settings = runs[0].probe
        write_json(arguments.output, difference_rows(ours, theirs, arguments.name, settings.bootstrap, settings.seed))


if __name__ == "__main__":
    main()
