#!/bin/bash
# Joins the peers: PB_EXTRA=<this folder> all.sh. The harness gives PB_ROOT; Python is this project's own.
cd "$(dirname "$0")" && . "${PB_ROOT:?all.sh sets it}/env.sh"
exec ../../.venv/bin/python bench.py "${1:-embedded}"
