"""Rule eda_signals: every trace of a corpus repaired, filtered, and at the rate of its steps."""

import argparse
from pathlib import Path

from audiorig.config import EdaConfig
from audiorig.data.eda.raw import RawTraces
from audiorig.data.eda.signals import write_signals
from audiorig.data.manifest import read_table
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, required=True, help="folder of the traces as they were read")
    parser.add_argument("--eda", required=True, help="settings, as the folder's name writes them")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    with stage("eda_signals", beside=arguments.output) as record:
        index = read_table(arguments.traces / "index.parquet")
        settings, rate_hz = EdaConfig.of_key(arguments.eda)
        raw = RawTraces(arguments.traces / "raw.arrow")
        record["assumptions"] = write_signals(index, raw, settings, rate_hz, arguments.output).as_list()


if __name__ == "__main__":
    main()
