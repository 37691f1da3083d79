"""Rule sweep: several seeds of a run, or the cases of an ablation, on one page."""

import argparse
import json
from pathlib import Path

from audiorig.config.sweeps import Sweep
from audiorig.files import read_json, write_text
from audiorig.provenance import stage
from audiorig.report.inputs import read_run
from audiorig.report.joined import read_member
from audiorig.report.joint_page import build_joint_page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweep", required=True, help="cases, seeds and titles, as JSON")
    parser.add_argument("--configs", type=Path, nargs="+", required=True, help="settings of a run of the reference")
    for name, meaning in {
        "metrics": "scores of each run",
        "probes": "hits of each run's probes, or its answers, by item",
        "training": "provenance of each run's training",
        "reports": "page of each run",
    }.items():
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, help=f"{meaning}, case by case")
    parser.add_argument(
        "--reconstructions",
        type=Path,
        nargs="*",
        default=[],
        help="errors of each run's reconstruction, by item, case by case; none where the experiment rebuilds nothing",
    )
    parser.add_argument("--ladder", type=Path, help="the run beside its ladder, if it has one")
    parser.add_argument("--output", type=Path, required=True, help="written: results/{sweep}/report.html")
    arguments = parser.parse_args()
    with stage("sweep", beside=arguments.output):
        content = json.loads(arguments.sweep)
        sweep = Sweep(**{**content, "seeds": tuple(content["seeds"])})
        files = zip(
            sweep.runs,
            arguments.metrics,
            arguments.probes,
            arguments.reconstructions or [None] * len(sweep.runs),
            arguments.training,
            arguments.reports,
            strict=True,
        )
        ladder = read_json(arguments.ladder) if arguments.ladder else None
        members = [read_member(name, *paths, page=arguments.output) for name, *paths in files]
        write_text(arguments.output, build_joint_page(sweep, read_run(arguments.configs), members, ladder))


if __name__ == "__main__":
    main()
