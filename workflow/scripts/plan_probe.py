"""Rule plan_probe: can the probes be run on this split? Asked before the training, not after."""

import argparse
import logging
from pathlib import Path

from audiorig.config_stages import load_run
from audiorig.data.manifest import read_table
from audiorig.evaluate.probing import plan_tasks
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the stage")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--segments", type=Path, help="labelled stretches, where the corpus has annotations")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with stage("plan_probe"):
        segments = read_table(arguments.segments) if arguments.segments else None
        plan = plan_tasks(arguments.split, load_run(arguments.config).probe, segments)
        for task in plan:
            for label in task["labels_without_a_score"]:
                logging.warning("%s: train has no %r: no score can be given for it", task["task"], label)
        write_json(arguments.output, plan)


if __name__ == "__main__":
    main()
