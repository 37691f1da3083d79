#!/usr/bin/env bash
# `make demo`: run the default workflow in this folder, whatever a killed one has left behind.
set -euo pipefail
run=(snakemake --profile profiles/local "$@")

# A second call waits for the first. The lock goes with the process that holds it, however it ends.
mkdir -p .snakemake
exec 9> .snakemake/demo.lock
if ! flock --nonblock 9; then
    echo "another make demo is at work in this folder: waiting for it"
    flock 9
fi

# Snakemake's own lock stays when it is killed. It may be taken away only if none works here.
for process in /proc/[0-9]*; do
    words=$(tr '\0' ' ' 2> /dev/null < "$process/cmdline") || continue
    if [[ $words =~ ^[^\ ]*python[^\ ]*\ [^\ ]*snakemake\  && $(readlink "$process/cwd") == "$PWD" ]]; then
        echo "error: Snakemake (process ${process#/proc/}) is at work in this folder; wait for it, or end it" >&2
        exit 1
    fi
done
if [ -n "$(ls .snakemake/locks 2> /dev/null)" ]; then
    "${run[@]}" --unlock
fi

"${run[@]}"
echo
echo "Look at results/report.html, and at results/wavemae/report.html."
