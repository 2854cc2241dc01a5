#!/bin/sh
# Run a make verb in a clean clone of what is committed: no virtual environment, no node_modules.
# usage: bench/accept/clone.sh test | bench/accept/clone.sh demo CHECK=1
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
clone=$(mktemp -d /tmp/weir-clone-XXXXXX)
trap 'rm -rf "$clone"' EXIT
git clone --quiet "$root" "$clone/weir"
cd "$clone/weir"
test ! -e .venv && test ! -e widget/page/node_modules && test ! -e .weir
begun=$(date +%s)
make "$@"
echo "clean clone: make $* took $(( $(date +%s) - begun )) s"
