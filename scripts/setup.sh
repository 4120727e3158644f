#!/usr/bin/env bash
# Installs the project into .venv from requirements.lock; --lock compiles the lock files from pyproject.toml instead.
#
# uv does the work because pip refuses TFX 1.16 on Python 3.11 (its metadata says < 3.11; every library under it
# ships 3.11 wheels). A uv on the PATH is used; otherwise one goes into a private .uv/ environment.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
# An interpreter that is not there is named below, not downloaded.
export UV_PYTHON_DOWNLOADS=never
# Once here, and not at the first use of each module: or at every use, where Python must not write into .venv.
export UV_COMPILE_BYTECODE=1

# One line names everything that is missing, and one command mends it on Debian and Ubuntu.
check_machine() {
  local missing=() packages=()
  if ! python3.11 -c '' 2>/dev/null; then
    missing+=("Python 3.11 (python3.11)"); packages+=(python3.11 python3.11-venv python3.11-dev)
  else
    if ! command -v uv >/dev/null && [ ! -x .uv/bin/uv ] && ! python3.11 -c 'import ensurepip, venv' 2>/dev/null; then
      missing+=("Python's venv module"); packages+=(python3.11-venv)
    fi
    # pyfarmhash and crcmod come as sources.
    if ! python3.11 -c 'import os, sys, sysconfig as s
sys.exit(not os.path.exists(os.path.join(s.get_paths()["include"], "Python.h")))'; then
      missing+=("Python's headers (Python.h)"); packages+=(python3.11-dev)
    fi
  fi
  # For these, and for this project's TensorFlow operations.
  if ! command -v "${CXX:-c++}" >/dev/null && ! command -v g++ >/dev/null; then
    missing+=("a C++ compiler"); packages+=(g++)
  fi
  if [ ${#missing[@]} -gt 0 ]; then
    local names
    names=$(printf ', %s' "${missing[@]}")
    echo "setup: missing ${names:2}. Install: sudo apt-get install -y ${packages[*]}" >&2
    exit 2
  fi
}

find_uv() {
  if command -v uv >/dev/null; then
    uv=$(command -v uv)
    return
  fi
  uv=$PWD/.uv/bin/uv
  if ! "$uv" --version >/dev/null 2>&1; then
    echo "setup: installing uv $UV_VERSION into .uv/" >&2
    rm -rf .uv
    python3.11 -m venv .uv
    .uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
  fi
}

check_machine
find_uv

if [ "${1:-}" = --lock ]; then
  "$uv" pip compile pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-annotate --no-header \
    --no-emit-index-url --quiet -o requirements.lock
  # What TensorFlow wants besides where there is a GPU: NVIDIA's libraries, for the GPU image.
  echo 'tensorflow[and-cuda]' | "$uv" pip compile - --constraint requirements.lock --python-version 3.11 \
    --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet |
    awk '/^[^ ]/ { wanted = /^nvidia-/ } wanted' > requirements-gpu.lock
  exit 0
fi

echo "setup: installing $(grep -c '==' requirements.lock) packages into .venv (3 GB; a minute or two)" >&2
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  rm -rf .venv
  "$uv" venv --quiet --python 3.11 .venv
fi
rm -f .venv/installed
VIRTUAL_ENV=$PWD/.venv "$uv" pip sync --require-hashes requirements.lock
# The lock holds setuptools itself, so the project's own build needs no second download.
# No cache: it does not know that operations have to be compiled again.
VIRTUAL_ENV=$PWD/.venv "$uv" pip install --quiet --no-cache --no-deps --no-build-isolation -e .
touch .venv/installed
