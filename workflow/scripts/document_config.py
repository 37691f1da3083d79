"""`make docs`: write config/README.md and config/schema from the models; `--check` only compares."""

import argparse
from pathlib import Path

from audiorig.config_docs import readme, schemas
from audiorig.files import write_text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("config"))
    parser.add_argument("--check", action="store_true", help="fail if a file is stale")
    arguments = parser.parse_args()
    files = {arguments.folder / "README.md": readme()}
    files |= {arguments.folder / "schema" / name: text for name, text in schemas().items()}
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path} is stale: run `make docs`" if arguments.check else f"writing {path}")
        if not arguments.check:
            write_text(path, files[path])
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
