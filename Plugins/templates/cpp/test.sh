#!/bin/sh
# Asks the model and compares what it says: test.sh SWITCHYARD PLUGIN.so
set -eu
program=$1 plugin=$2

expect() {
    found=$("$program" predict --plugin "$plugin" "$1" || true)
    case $found in
    "$2"*) echo "ok: $1" ;;
    *) echo "not ok: $1: found $found; wanted $2" >&2; exit 1 ;;
    esac
}

expect '{"price": 2.5, "quantity": 4}' '{"data":10'
expect '{"price": 2.5, "quantity": 0}' '{"error":"quantity is below 1"'
expect '[["a", {"price": 1, "quantity": 2}]]' '{"data":[["a",2'
