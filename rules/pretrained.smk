# Published models, for machines that reach the Hub: a local rule, since computing nodes often do not.


rule fetch_pretrained:
    output:
        manifest="pretrained/{pretrained}/manifest.json",
        provenance="pretrained/{pretrained}/manifest.json.provenance.json",
    log:
        "pretrained/{pretrained}.log",
    benchmark:
        "pretrained/{pretrained}.tsv"
    conda:
        "../envs/data.yaml"
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
