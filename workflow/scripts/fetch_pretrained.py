"""Rule fetch_pretrained: bring a published model here, at a pinned commit, and check it."""

import argparse
from pathlib import Path

from audiorig.config import PretrainedConfig
from audiorig.data.pretrained import fetch
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="the entry of config/pretrained.yaml, as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="where the model goes; it gets a manifest.json")
    arguments = parser.parse_args()
    with stage("fetch_pretrained", beside=arguments.folder / "manifest.json") as notes:
        settings = PretrainedConfig.model_validate_json(arguments.settings)
        notes["model"] = fetch(settings, arguments.folder)


if __name__ == "__main__":
    main()
