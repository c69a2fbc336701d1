#!/bin/sh
# Pins every transitive dependency of pyproject.toml for Python 3.10 to 3.14. NVIDIA's packages get a file of their own:
# a machine without a GPU must not be made to fetch gigabytes of them.
set -eu
cd "$(dirname "$0")/.."
command -v uv >/dev/null || { echo "lock: uv was not found; pip install uv" >&2; exit 1; }
all=$(mktemp)
trap 'rm -f "$all"' EXIT
uv pip compile pyproject.toml --all-extras --universal --python-version 3.10 --no-annotate --no-header -q -o "$all"
is_nvidia='^(nvidia-|cuda-|triton)'
{
    echo "# Made by \`make lock\` from pyproject.toml: what every machine installs."
    grep -vE "$is_nvidia" "$all"
} > requirements.lock
{
    echo "# Made by \`make lock\` from pyproject.toml: what a machine with an NVIDIA GPU installs beside requirements.lock."
    grep -E "$is_nvidia" "$all"
} > requirements-gpu.lock
