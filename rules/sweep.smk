# Several runs on one page: a run with several seeds, or an ablation. What they run are the rules of
# a single run: results/{run}/seed-{k}/..., results/ablation-{name}/{case}/seed-{k}/...


# The page of a run with several seeds is the one that joins them.
ruleorder: sweep > report


rule sweep:
    input:
        configs=of_reference,
        metrics=of_members("results/{run}/metrics.json"),
        probes=lambda wildcards: [items_of(run) for run in SETTINGS.members(wildcards.sweep)],
        reconstructions=lambda wildcards: [
            f"results/{run}/reconstruction/items.parquet"
            for run in SETTINGS.members(wildcards.sweep)
            if is_wavemae(run)
        ],
        training=of_members("results/{run}/final.ckpt.provenance.json"),
        reports=of_members("results/{run}/report.html"),
        ladder=lambda wildcards: [] if wildcards.sweep.startswith("ablation-") else ladder_of(wildcards.sweep),
    output:
        page=report("results/{sweep}/report.html", caption="captions/sweep.rst", category="Sweeps"),
        provenance="results/{sweep}/report.html.provenance.json",
    log:
        "results/{sweep}/logs/sweep.log",
    benchmark:
        "results/{sweep}/benchmarks/sweep.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=15,
    params:
        ladder=option("--ladder", "ladder"),
        sweep=lambda wildcards: canonical_json(asdict(SETTINGS.sweep(wildcards.sweep))),
    message:
        "Joining the runs of {wildcards.sweep} on one page"
    shell:
        "python workflow/scripts/sweep.py --sweep {params.sweep:q} --configs {input.configs} --metrics {input.metrics}"
        " --probes {input.probes} --reconstructions {input.reconstructions} --training {input.training}"
        " --reports {input.reports} {params.ladder} --output {output.page} 2>&1 | log {log}"
