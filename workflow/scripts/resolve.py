"""Rule resolve: write the checked settings of one stage as YAML."""

import argparse
import json
from pathlib import Path

import yaml

from audiorig.files import write_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="the settings, as JSON")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    write_text(arguments.output, yaml.safe_dump(json.loads(arguments.settings), sort_keys=False, allow_unicode=True))


if __name__ == "__main__":
    main()
