# Settings, read and checked once, before any job; and what the rules ask of them. No rules here.
import re
import sys

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))
# A prefix replaces Snakemake's own, strict mode included: without pipefail, `| tee` would hide a
# failure. Braces four-fold: once for Python, once for Snakemake.
# Threads that wait for each other spin briefly, then sleep: by default they spin so long that any
# other process on the machine makes training ten times slower.
shell.prefix(f"set -euo pipefail; export GOMP_SPINCOUNT=${{{{GOMP_SPINCOUNT:-2000}}}}; export PYTHONPATH='{ROOT / 'src'}'${{{{PYTHONPATH:+:$PYTHONPATH}}}}; ")

from audiorig.config import STAGES, DemoCorpus, FolderCorpus
from audiorig.config_files import Settings, canonical_json, corpus_root, requested_runs
from audiorig.errors import ConfigError

try:
    SETTINGS = Settings(config, ROOT / "config")
    for name in requested_runs(SETTINGS, sys.argv[1:]):
        corpus_name = SETTINGS.run(name).data.corpus
        corpus_root(corpus_name, SETTINGS.corpus(corpus_name))
except ConfigError as error:
    sys.exit(f"error: {error}")


wildcard_constraints:
    run="|".join(map(re.escape, SETTINGS.run_names)),
    corpus="|".join(map(re.escape, SETTINGS.corpus_names)),
    stage="|".join(STAGES),
    split="[^/]+",


def corpus_file(pattern):
    """Input function: a file of the corpus that a run reads; {corpus} and {split} are filled in."""
    return lambda wildcards: pattern.format(
        corpus=SETTINGS.run(wildcards.run).data.corpus,
        split=SETTINGS.run(wildcards.run).data.split,
    )


CORPUS = corpus_file("results/corpora/{corpus}/corpus.yaml")
SPLIT = corpus_file("results/corpora/{corpus}/splits/{split}/split_summary.json")


def split_folder(wildcards):
    return str(Path(SPLIT(wildcards)).parent)


def known_before(wildcards):
    """What must exist before files are listed: a generated corpus' audio, a folder's table."""
    name = wildcards.corpus
    corpus = SETTINGS.corpus(name)
    if isinstance(corpus, DemoCorpus):
        return f"data/{name}/metadata.csv"
    root = corpus_root(name, corpus)
    return str(root / corpus.metadata) if corpus.metadata else []
