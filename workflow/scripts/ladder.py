"""Rule ladder: a run beside the same run with other splits, or with permuted labels."""

import argparse
import json
from pathlib import Path

from audiorig.evaluate.clip_stages import score_settings
from audiorig.evaluate.ladder import build_ladder, read_cases
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the scoring")
    parser.add_argument(
        "--members",
        required=True,
        help='JSON: [{"case", "title", "files": {seed: predictions.parquet}, "is_control"}, ...], the run itself first',
    )
    parser.add_argument("--output", type=Path, required=True, help="written: results/{run}/ladder.json")
    arguments = parser.parse_args()
    with stage("ladder"):
        settings = score_settings(arguments.config)
        cases = read_cases(json.loads(arguments.members))
        write_json(arguments.output, build_ladder(cases, settings.bootstrap, settings.seed))


if __name__ == "__main__":
    main()
