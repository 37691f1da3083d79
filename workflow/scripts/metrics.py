"""Rule metrics: the scores of all judgements in one file."""

import argparse
from pathlib import Path

from audiorig.files import read_json, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, nargs="+", required=True)
    parser.add_argument("--training", type=Path, required=True, help="record of the training")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    record = read_json(arguments.training)
    target = {"w2v_target": record["w2v_target"]} if "w2v_target" in record else {}  # of WaveMAE alone
    rows = [{**row, **target} for path in arguments.scores for row in read_json(path)]
    write_json(arguments.output, rows)


if __name__ == "__main__":
    main()
