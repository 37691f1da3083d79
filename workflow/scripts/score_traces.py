"""Rule score_traces: what a network predicts of the test side's traces, beside baselines and nulls."""

import argparse
from pathlib import Path

from audiorig.data.eda.assumptions import collected
from audiorig.data.manifest import read_table, write_table
from audiorig.evaluate.eda.files import Files, load_eda_run
from audiorig.evaluate.eda.predict import load_network, predict_songs, scale_of
from audiorig.evaluate.eda.stages import score_predictions
from audiorig.evaluate.eda.table import Predictions
from audiorig.files import write_json
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="settings of the scoring")
    parser.add_argument("--split", type=Path, required=True, help="folder of the split")
    parser.add_argument("--mfcc", type=Path, nargs="+", required=True, help="shards of the songs' coefficients")
    parser.add_argument("--traces", type=Path, required=True, help="listeners' traces at the predicted rate")
    parser.add_argument("--model", type=Path, required=True, help="folder of the trained network")
    parser.add_argument("--baselines", type=Path, required=True, help="what the baselines predict")
    parser.add_argument("--output", type=Path, required=True, help="written: the scores")
    parser.add_argument("--items", type=Path, required=True, help="written: measures, trace by trace")
    parser.add_argument("--predictions", type=Path, required=True, help="written: true and predicted traces")
    parser.add_argument("--nulls", type=Path, required=True, help="written: r of each draw of the nulls")
    arguments = parser.parse_args()
    with stage("score_traces", beside=arguments.output) as record, collected() as record["assumptions"]:
        run = load_eda_run(arguments.config)
        files = Files(arguments.split, tuple(arguments.mfcc), arguments.traces)
        model = load_network(arguments.model)
        scale = scale_of(model, run, files.scale(run), arguments.model)
        network = predict_songs(model, files.songs(run, "test", scale))
        baselines = Predictions(read_table(arguments.baselines), str(arguments.baselines))
        scored = score_predictions(run, files, network, baselines, scale)
        record |= scored.notes
        write_table(scored.items, arguments.items)
        write_table(scored.predictions, arguments.predictions)
        write_json(arguments.nulls, scored.nulls)
        write_json(arguments.output, scored.rows)


if __name__ == "__main__":
    main()
