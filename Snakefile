# audiorig: from audio files to trained, probed and reported models. `snakemake -n` shows the plan.
from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "rules/common.smk"


rule all:
    default_target: True
    input:
        expand("results/{run}/report.html", run=SETTINGS.build),
        "results/report.html",


include: "rules/settings.smk"
include: "rules/corpora.smk"
include: "rules/pretrained.smk"
include: "rules/features.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
include: "rules/sweep.smk"
include: "rules/publish.smk"


localrules:
    all,
    resolve,
    resolve_corpus,
    fetch_pretrained,
    seed_pretrained,
    remove_pretrained,
    metrics,
    ladder,
    against,
    report,
    sweep,
    compare,
    plan_push,
    push_hf,
