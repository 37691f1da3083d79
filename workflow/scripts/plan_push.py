"""Rule plan_push: the card, and the exact list of what would go to the Hub. Needs no token and no network."""

import argparse
from pathlib import Path

from audiorig.provenance import stage
from audiorig.publish.prepare import prepare
from audiorig.publish.secrets import hide_in_output, read_environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-folder", type=Path, required=True, help="results/{run}; written: hub/ in it")
    parser.add_argument("--env-file", type=Path, default=Path(".env"), help="HF_REPO_ID, HF_PRIVATE")
    arguments = parser.parse_args()
    with stage("plan_push"):
        environment = read_environment(arguments.env_file)
        hide_in_output(environment.secrets)
        print(prepare(arguments.run_folder, environment).described())
        print("Nothing was sent.")


if __name__ == "__main__":
    main()
