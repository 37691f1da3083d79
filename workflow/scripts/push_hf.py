"""Rule push_hf: a trained model to the Hub, or, with --dry-run, the exact list of what would go."""

import argparse
import logging
from pathlib import Path

from audiorig.files import write_json
from audiorig.provenance import stage
from audiorig.publish.secrets import hide_in_output, read_environment, set_up_library


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-folder", type=Path, required=True, help="results/{run}; written: hub/ in it")
    parser.add_argument("--plan", type=Path, help="hub/plan.json that somebody looked at: nothing else may go")
    parser.add_argument("--env-file", type=Path, default=Path(".env"), help="HF_TOKEN, HF_REPO_ID, HF_PRIVATE, HF_HOME")
    parser.add_argument("--dry-run", action="store_true", help="only list it; needs no token and no network")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what the Hub is asked and answers")
    arguments = parser.parse_args()
    pushed = arguments.run_folder / "hub" / "pushed.json"
    with stage("push_hf", beside=None if arguments.dry_run else pushed) as record:
        environment = read_environment(arguments.env_file)
        hide_in_output(environment.secrets)
        set_up_library(environment)
        from audiorig.publish.prepare import prepare  # imports huggingface_hub
        from audiorig.publish.push import push

        logging.getLogger("audiorig").setLevel(logging.DEBUG if arguments.verbose else logging.INFO)
        for library in ("huggingface_hub", "httpx2"):  # they log a line for each request
            logging.getLogger(library).setLevel(logging.DEBUG if arguments.verbose else logging.ERROR)
        prepared = prepare(arguments.run_folder, environment, arguments.plan)
        print(prepared.described())
        if arguments.dry_run:
            print("Nothing was sent.")
            return
        done = push(prepared.plan, prepared.destination(environment), f"{prepared.name}, by audiorig")
        record["pushed"] = done
        write_json(pushed, done)
        print(f"{done['repo_id']} is at commit {done['commit']}; sent now: {', '.join(done['sent']) or 'nothing'}.")


if __name__ == "__main__":
    main()
