# Checked settings, written down: one file a stage, so that a rule reads its own and no other.


rule resolve:
    output:
        "results/{run}/config/{stage}.yaml",
    log:
        "results/{run}/logs/resolve-{stage}.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        settings=lambda wildcards: canonical_json(SETTINGS.run(wildcards.run).stage(wildcards.stage)),
    message:
        "Writing down the {wildcards.stage} settings of {wildcards.run}"
    shell:
        "python workflow/scripts/resolve.py --settings {params.settings:q} --output {output} 2>&1 | log {log}"


rule resolve_corpus:
    output:
        "results/corpora/{corpus}/corpus.yaml",
    log:
        "results/corpora/{corpus}/logs/resolve_corpus.log",
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        # Bounds and splits go to their own rules: changing them must not list the files again.
        settings=lambda wildcards: canonical_json(
            SETTINGS.corpus(wildcards.corpus).model_dump(mode="json", exclude={"validation", "splits", "checks"})
        ),
    message:
        "Writing down the settings of corpus {wildcards.corpus}"
    shell:
        "python workflow/scripts/resolve.py --settings {params.settings:q} --output {output} 2>&1 | log {log}"
