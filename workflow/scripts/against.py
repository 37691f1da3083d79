"""Rule against: a run minus another one, item by item paired."""

import argparse
from pathlib import Path
from typing import Any

from audiorig.config import Audio2EdaRun, Run, TuningRun
from audiorig.config_stages import load_run
from audiorig.data.manifest import read_table
from audiorig.errors import ConfigError
from audiorig.evaluate.answers_table import read_answers
from audiorig.evaluate.clip_against import answer_differences
from audiorig.evaluate.eda.against import run_differences
from audiorig.evaluate.paired import difference_rows, distance_items, probe_items
from audiorig.files import write_json
from audiorig.provenance import stage


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
        for kind, what in ((TuningRun, "a tuned run"), (Audio2EdaRun, "a run that predicts traces")):
            is_one = [isinstance(run, kind) for run in runs]
            if any(is_one) and not all(is_one):
                raise ConfigError(
                    f"report.compare_with: {arguments.name} is {'not ' if is_one[0] else ''}{what}, and this one is"
                    f"{'' if is_one[0] else ' not'}: their scores are of different kinds; name another run"
                )
        match runs[0]:
            case TuningRun():
                rows = answers_of(runs[0], arguments)
            case Audio2EdaRun():
                rows = traces_of(runs, arguments)
            case _:
                rows = probes_of(runs, arguments)
        write_json(arguments.output, rows)


def traces_of(runs: list[Run], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Of runs that predict traces: every measure that is in the same unit for both."""
    ours, theirs = runs
    assert isinstance(ours, Audio2EdaRun) and isinstance(theirs, Audio2EdaRun)
    tables = [read_table(path) for path in arguments.probes]
    return run_differences(ours, theirs, tables[0], tables[1], arguments.name)


def answers_of(run: Run, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Of tuned runs: every metric of every target."""
    assert isinstance(run, TuningRun)
    ours, theirs = (read_answers(path) for path in arguments.probes)
    return answer_differences(ours, theirs, arguments.name, run.score.bootstrap, run.score.seed)


def probes_of(runs: list[Run], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Of probed runs: hits, and what was rebuilt."""
    # Both or neither: only a masked autoencoder rebuilds.
    reconstructions = [[path] for path in arguments.reconstructions] or [[], []]
    ours, theirs = (
        [
            *probe_items({str(hits): read_table(hits)}, run.experiment).values(),
            *(item for errors in rebuilt for item in distance_items({str(errors): read_table(errors)}).values()),
        ]
        for run, hits, rebuilt in zip(runs, arguments.probes, reconstructions, strict=True)
    )
    return difference_rows(ours, theirs, arguments.name, runs[0].probe.bootstrap, runs[0].probe.seed)


if __name__ == "__main__":
    main()
