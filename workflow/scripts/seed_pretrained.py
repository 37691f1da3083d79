"""Rule seed_pretrained: make a model of random weights in a published format."""

import argparse
from pathlib import Path

from audiorig.config import SeededConfig
from audiorig.models.encoders.seeded import make_seeded
from audiorig.provenance import stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="the entry of config/pretrained.yaml, as JSON")
    parser.add_argument("--folder", type=Path, required=True, help="where the model goes; it gets a manifest.json")
    arguments = parser.parse_args()
    with stage("seed_pretrained", beside=arguments.folder / "manifest.json") as notes:
        settings = SeededConfig.model_validate_json(arguments.settings)
        notes["model"] = make_seeded(settings, arguments.folder)


if __name__ == "__main__":
    main()
