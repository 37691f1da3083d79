# From scores to pages that a person looks at: one for each run, one that compares them.


rule against:
    input:
        configs=of_both("results/{run}/config/probe.yaml"),
        probes=lambda wildcards: [items_of(run) for run in of_both("{run}")(wildcards)],
        reconstructions=lambda wildcards: (
            of_both("results/{run}/reconstruction/items.parquet")(wildcards) if is_wavemae(wildcards.run) else []
        ),
    output:
        "results/{run}/against.json",
    log:
        "results/{run}/logs/against.log",
    conda:
        "../envs/evaluate.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        name=lambda wildcards: SETTINGS.compared_with(wildcards.run),
    message:
        "Comparing {wildcards.run} with {params.name}, item by item"
    shell:
        "python workflow/scripts/against.py --configs {input.configs} --probes {input.probes}"
        " --reconstructions {input.reconstructions} --name {params.name} --output {output} 2>&1 | log {log}"


rule report:
    input:
        configs=expand("results/{{run}}/config/{stage}.yaml", stage=STAGES),
        history="results/{run}/history.json",
        metrics="results/{run}/metrics.json",
        examples=lambda wildcards: (
            f"results/{wildcards.run}/test/examples.npz"
            if is_tuned(wildcards.run)
            else of_wavemae("results/{run}/reconstruction/examples.npz")(wildcards)
        ),
        predictions=of_tuned("results/{run}/test/predictions.parquet"),
        ladder=lambda wildcards: ladder_of(wildcards.run),
        heard=of_eda("results/{run}/traces/predictions.parquet"),
        nulls=of_eda("results/{run}/traces/nulls.json"),
        listeners=lambda wildcards: listeners_of(wildcards.run),
        bundle=of_tuned("results/{run}/bundle.provenance.json"),
        rebuilt=of_wavemae("results/{run}/reconstruction/scores.json.provenance.json"),
        corpus=CORPUS,
        validation=corpus_file("results/corpora/{corpus}/validation/summary.json"),
        invalid=corpus_file("results/corpora/{corpus}/validation/invalid_files.parquet"),
        split=SPLIT,
        # Who took part, and the names that the page of a private corpus must not show.
        manifest=lambda wildcards: (
            corpus_file("results/corpora/{corpus}/manifest.parquet")(wildcards)
            if SETTINGS.corpus(SETTINGS.run(wildcards.run).data.corpus).private or not is_wavemae(wildcards.run)
            else []
        ),
        generated=lambda wildcards: (
            corpus_file("data/{corpus}/metadata.csv.provenance.json")(wildcards)
            if isinstance(SETTINGS.corpus(SETTINGS.run(wildcards.run).data.corpus), GENERATED)
            else []
        ),
        listed=corpus_file("results/corpora/{corpus}/manifest.parquet.provenance.json"),
        validated=corpus_file("results/corpora/{corpus}/validation/summary.json.provenance.json"),
        pitch=lambda wildcards: [f"{shard}.provenance.json" for shard in pitch_shards(wildcards)],
        divided=corpus_file("results/corpora/{corpus}/splits/{split}/split_summary.json.provenance.json"),
        against=lambda wildcards: (
            f"results/{wildcards.run}/against.json" if SETTINGS.compared_with(wildcards.run) else []
        ),
        measured=lambda wildcards: f"{found}.provenance.json" if (found := STATISTICS(wildcards)) else [],
        base=record_of_network,
        provenance=lambda wildcards: [
            f"results/{wildcards.run}/final.ckpt.provenance.json",
            f"{scores_of(wildcards.run)}.provenance.json",
            *(f"{each}.provenance.json" for each in made_of_traces(wildcards)),
        ],
    output:
        page=report(
            "results/{run}/report.html",
            caption="captions/report.rst",
            category="Runs",
            labels={"run": "{run}"},
        ),
        provenance="results/{run}/report.html.provenance.json",
    log:
        "results/{run}/logs/report.log",
    benchmark:
        "results/{run}/benchmarks/report.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        against=option("--against", "against"),
        examples=option("--examples", "examples"),
        manifest=option("--manifest", "manifest"),
        predictions=option("--predictions", "predictions"),
        ladder=option("--ladder", "ladder"),
        heard=folders_of_traces,
    message:
        "Writing the page of {wildcards.run}"
    shell:
        "python workflow/scripts/report.py --configs {input.configs} --history {input.history}"
        " --metrics {input.metrics} {params.examples} --corpus {input.corpus}"
        " --validation {input.validation} --invalid {input.invalid} --split {input.split} {params.manifest}"
        " --provenance {input.generated} {input.listed} {input.validated} {input.divided} {input.measured}"
        " {input.pitch} {input.base} {input.provenance} {input.rebuilt} {params.against}"
        " {params.predictions} {params.ladder} {params.heard} --output {output.page} 2>&1 | log {log}"


rule compare:
    input:
        data_configs=expand("results/{run}/config/data.yaml", run=SETTINGS.compared),
        train_configs=expand("results/{run}/config/train.yaml", run=SETTINGS.compared),
        report_configs=expand("results/{run}/config/report.yaml", run=SETTINGS.compared),
        metrics=expand("results/{run}/metrics.json", run=SETTINGS.compared),
        training=expand("results/{run}/final.ckpt.provenance.json", run=SETTINGS.compared),
        reports=expand("results/{run}/report.html", run=SETTINGS.compared),
    output:
        page=report("results/report.html", caption="captions/compare.rst", category="All runs"),
        provenance="results/report.html.provenance.json",
    log:
        "results/logs/compare.log",
    benchmark:
        "results/benchmarks/compare.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Writing the page that compares all runs"
    shell:
        "python workflow/scripts/compare.py --data-configs {input.data_configs}"
        " --train-configs {input.train_configs} --report-configs {input.report_configs}"
        " --metrics {input.metrics} --training {input.training} --reports {input.reports}"
        " --output {output.page} 2>&1 | log {log}"
