"""Rule baselines: what is said of the test traces without a network, fitted to the training side."""

import argparse
from pathlib import Path

from audiorig.data.eda.assumptions import collected
from audiorig.data.manifest import write_table
from audiorig.evaluate.eda.files import Files, load_eda_run
from audiorig.evaluate.eda.stages import predict_baselines
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the scoring")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--mfcc", type=Path, nargs="+", required=True, help="shards of the songs' coefficients")
    parser.add_argument("--traces", type=Path, required=True, help="listeners' traces at the predicted rate")
    parser.add_argument("--output", type=Path, required=True, help="written: predictions of the test traces")
    arguments = parser.parse_args()
    with stage("baselines", beside=arguments.output) as record, collected() as record["assumptions"]:
        run = load_eda_run(arguments.config)
        files = Files(arguments.split, tuple(arguments.mfcc), arguments.traces)
        predictions, record["baselines"] = predict_baselines(run, files)
        write_table(predictions, arguments.output)


if __name__ == "__main__":
    main()
