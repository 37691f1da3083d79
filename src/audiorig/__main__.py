"""The stages of a run by name, for people who come from a command line of stages.

    python -m audiorig ingest homewav2vec2      the manifest of the run's corpus
    python -m audiorig validate homewav2vec2    what is wrong with its files
    python -m audiorig transform homewav2vec2   its split; nothing else is written, no audio least of all
    python -m audiorig train homewav2vec2       results/homewav2vec2/final.ckpt
    python -m audiorig report homewav2vec2      results/homewav2vec2/report.html
    python -m audiorig push_hf homewav2vec2     the model on the Hub; with --dry-run: what would go

Each is one target of the workflow; what it needs is made first. All further options go to
Snakemake: --cores 8, --dry-run, --profile profiles/slurm, --configfile mine.yaml.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from audiorig.config_checks import merge, read_yaml
from audiorig.config_files import Settings
from audiorig.errors import ConfigError

TARGETS = {
    "ingest": "results/corpora/{corpus}/manifest.parquet",
    "validate": "results/corpora/{corpus}/validation/summary.json",
    "transform": "results/corpora/{corpus}/splits/{split}/split_summary.json",
    "train": "results/{run}/final.ckpt",
    "report": "results/{run}/report.html",
    "push_hf": "results/{run}/hub/pushed.json",
}


DRY_RUN = {"--dry-run", "--dryrun", "-n"}


def target_of(stage: str, run: str, configfiles: list[Path], project: Path = Path()) -> str:
    """The file that a stage of a run ends in.

    Raises:
        ConfigError: if there is no such run, or this is not the project's folder.
    """
    if not (project / "Snakefile").is_file():
        raise ConfigError(f"{project.resolve()}: no Snakefile here; go to the project's folder first")
    config: dict[str, Any] = {}
    for path in (project / "config/config.yaml", *configfiles):
        config = merge(config, read_yaml(path))
    data = Settings(config, project / "config").run(run).data
    return TARGETS[stage].format(run=run, corpus=data.corpus, split=data.split)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m audiorig", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=TARGETS)
    parser.add_argument("run", help="a run of config/runs or of a config file")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="further settings, for Snakemake too")
    parser.add_argument("--cores", default="2", help="cores to use; not with a profile that submits jobs")
    arguments, others = parser.parse_known_args()
    try:
        target = target_of(arguments.stage, arguments.run, arguments.configfile)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    if arguments.stage == "push_hf" and (asked := DRY_RUN & set(others)):  # a list of files, not of jobs
        target, others = target.replace("pushed.json", "plan.json"), [each for each in others if each not in asked]
        others += ["--forcerun", "plan_push"]
    files = ["--configfile", *map(str, arguments.configfile)] if arguments.configfile else []
    cores = [] if "--profile" in others else ["--cores", arguments.cores]
    command = [sys.executable, "-m", "snakemake", *cores, *files, *others, "--", target]
    sys.stderr.write(f"{' '.join(command[2:])}\n")
    sys.stderr.flush()
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
