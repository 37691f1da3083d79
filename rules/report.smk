rule report:
    input: "results/{run}/metrics.json"
    output: "results/{run}/report.html"
    shell: "touch {output}"
rule compare:
    input: expand("results/{run}/metrics.json", run=SETTINGS.build)
    output: "results/report.html"
    shell: "touch {output}"
