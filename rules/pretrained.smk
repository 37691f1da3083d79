# Published models, for machines that reach the Hub: a local rule, since computing nodes often do
# not. And small ones of random weights in the same format, for runs without a download.


rule seed_pretrained:
    output:
        manifest="pretrained/{seeded}/manifest.json",
        provenance="pretrained/{seeded}/manifest.json.provenance.json",
    log:
        "pretrained/{seeded}.log",
    benchmark:
        "pretrained/{seeded}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        folder=lambda wildcards, output: str(Path(output.manifest).parent),
        settings=lambda wildcards: SETTINGS.pretrained(wildcards.seeded).model_dump_json(),
    message:
        "Making {wildcards.seeded}, a model of random weights"
    shell:
        "python workflow/scripts/seed_pretrained.py --settings {params.settings:q} --folder {params.folder}"
        " 2>&1 | log {log}"


rule fetch_pretrained:
    output:
        manifest="pretrained/{pretrained}/manifest.json",
        provenance="pretrained/{pretrained}/manifest.json.provenance.json",
    log:
        "pretrained/{pretrained}.log",
    benchmark:
        "pretrained/{pretrained}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        folder=lambda wildcards, output: str(Path(output.manifest).parent),
        settings=lambda wildcards: SETTINGS.pretrained(wildcards.pretrained).model_dump_json(),
    message:
        "Fetching the published model {wildcards.pretrained}"
    shell:
        "python workflow/scripts/fetch_pretrained.py --settings {params.settings:q} --folder {params.folder}"
        " 2>&1 | log {log}"


# For those who are short of disk: never part of `rule all`. Bundle, model and pages of the run stay usable.
rule remove_pretrained:
    input:
        report="results/{run}/report.html",
        manifest=base_of,
    output:
        "results/{run}/pretrained_removed.json",
    log:
        "results/{run}/logs/remove_pretrained.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Removing the weights that {wildcards.run} was tuned from"
    shell:
        "python workflow/scripts/remove_pretrained.py --manifest {input.manifest} --output {output} 2>&1 | log {log}"
