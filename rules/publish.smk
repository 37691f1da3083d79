# A trained model to the Hub. Never part of `rule all`: nothing is sent unless somebody asks for it by name.
# `snakemake results/{run}/hub/plan.json` lists exactly what would go, `.../hub/pushed.json` sends it.

WHAT_IS_PUBLISHED = dict(
    configs=expand("results/{{run}}/config/{stage}.yaml", stage=[*STAGES, PUBLISH]),
    model="results/{run}/model",
    metrics="results/{run}/metrics.json",
    history="results/{run}/history.json",
    training="results/{run}/final.ckpt.provenance.json",
    corpus=CORPUS,
    split=SPLIT,
    manifest=corpus_file("results/corpora/{corpus}/manifest.parquet"),
    base=base_of,
)


rule plan_push:
    input:
        **WHAT_IS_PUBLISHED,
    output:
        plan="results/{run}/hub/plan.json",
        card="results/{run}/hub/README.md",
    log:
        "results/{run}/logs/plan_push.log",
    conda:
        "../envs/publish.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        folder=lambda wildcards: f"results/{wildcards.run}",
        destination=destination,
    message:
        "Listing what of {wildcards.run} would go to the Hub"
    shell:
        "python workflow/scripts/plan_push.py --run-folder {params.folder} 2>&1 | log {log}"


rule push_hf:
    input:
        **WHAT_IS_PUBLISHED,
        plan="results/{run}/hub/plan.json",
        card="results/{run}/hub/README.md",
    output:
        pushed="results/{run}/hub/pushed.json",
        provenance="results/{run}/hub/pushed.json.provenance.json",
    log:
        "results/{run}/logs/push_hf.log",
    conda:
        "../envs/publish.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        folder=lambda wildcards: f"results/{wildcards.run}",
        destination=destination,
    message:
        "Sending {wildcards.run} to the Hub"
    shell:
        "python workflow/scripts/push_hf.py --run-folder {params.folder} --plan {input.plan} 2>&1 | log {log}"
