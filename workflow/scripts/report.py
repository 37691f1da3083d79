"""Rule report: everything about one run on one page."""

import argparse
from pathlib import Path

from audiorig.files import write_text
from audiorig.provenance import stage
from audiorig.report.inputs import read_inputs
from audiorig.report.page import build_report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configs", type=Path, nargs="+", required=True, help="settings of all stages of the run")
    parser.add_argument("--history", type=Path, required=True, help="losses by step")
    parser.add_argument("--metrics", type=Path, required=True, help="all scores")
    parser.add_argument("--examples", type=Path, help="what there is to look at: spectrograms, attention, a map")
    parser.add_argument("--predictions", type=Path, help="answers for each clip, where the experiment gives answers")
    parser.add_argument("--ladder", type=Path, help="the run beside its ladder, if it has one")
    parser.add_argument(
        "--heard",
        type=Path,
        nargs=2,
        metavar=("SCORED", "TRACES"),
        help="where traces are predicted: folders of the run's and of the corpus' traces",
    )
    parser.add_argument("--corpus", type=Path, required=True, help="settings of the corpus")
    parser.add_argument("--validation", type=Path, required=True, help="counts and hours of the corpus")
    parser.add_argument("--invalid", type=Path, required=True, help="problems found by validation")
    parser.add_argument("--split", type=Path, required=True, help="summary of the split; its sides lie beside it")
    parser.add_argument("--manifest", type=Path, help="the corpus' files; must be given where it is private")
    parser.add_argument("--provenance", type=Path, nargs="+", required=True, help="records of all stages")
    parser.add_argument("--against", type=Path, help="paired differences to another run, if there are any")
    parser.add_argument("--output", type=Path, required=True, help="written: results/{run}/report.html")
    arguments = parser.parse_args()
    with stage("report", beside=arguments.output):
        inputs = read_inputs(
            configs=arguments.configs,
            history=arguments.history,
            metrics=arguments.metrics,
            corpus=arguments.corpus,
            validation=arguments.validation,
            invalid=arguments.invalid,
            split=arguments.split,
            provenance=arguments.provenance,
            page=arguments.output,
            examples=arguments.examples,
            manifest=arguments.manifest,
            against=arguments.against,
            predictions=arguments.predictions,
            ladder=arguments.ladder,
            heard=tuple(arguments.heard) if arguments.heard else None,
        )
        write_text(arguments.output, build_report(inputs))


if __name__ == "__main__":
    main()
