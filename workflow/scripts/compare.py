"""Rule compare: all runs on one page."""

import argparse
from pathlib import Path

from audiorig.files import write_text
from audiorig.provenance import stage
from audiorig.report.comparison import build_comparison, read_compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, meaning in {
        "data-configs": "settings of each run's data",
        "train-configs": "settings of each run's training",
        "report-configs": "settings of each run's report",
        "metrics": "scores of each run",
        "training": "provenance of each run's training",
        "reports": "page of each run",
    }.items():
        parser.add_argument(f"--{name}", type=Path, nargs="*", required=True, help=f"{meaning}, in the same order")
    parser.add_argument("--output", type=Path, required=True, help="written: results/report.html")
    arguments = parser.parse_args()
    with stage("compare", beside=arguments.output):
        files = zip(
            arguments.data_configs,
            arguments.train_configs,
            arguments.report_configs,
            arguments.metrics,
            arguments.training,
            arguments.reports,
            strict=True,
        )
        runs = [
            read_compared(configs=configs, metrics=metrics, training=training, report=report, page=arguments.output)
            for *configs, metrics, training, report in files
        ]
        write_text(arguments.output, build_comparison(runs))


if __name__ == "__main__":
    main()
