#!/usr/bin/env bash
# The Beam steps on a real engine, Prism, with workers as processes of their own (`make test-portable`). Prism is built by
# Go, once, to build/prism. Engine and workers listen on all interfaces, so all of it runs in a network of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 0 ] || { echo "test_portable: takes no arguments, not '$*'" >&2; exit 2; }
[ -x .venv/bin/python ] || { echo "test_portable: .venv/bin/python is missing: make setup" >&2; exit 2; }
version=v$(.venv/bin/python -c 'from importlib.metadata import version; print(version("apache-beam"))')
prism=build/prism-$version
if [ ! -x "$prism" ]; then
  command -v go > /dev/null || { echo "test-portable: skipped, there is no Go to build Prism with"; exit 0; }
  # Go's checksum database did not know this module through the proxy with which this was tried.
  echo "test-portable: building Prism $version (some minutes, once)"
  GOBIN=$PWD/build GONOSUMDB='github.com/apache/beam/*' go install "github.com/apache/beam/sdks/v2/go/cmd/prism@$version"
  mv build/prism "$prism"
fi
unshare -rn true 2> /dev/null || { echo "test-portable: skipped, there is no network namespace to be had here"; exit 0; }
export PRISM=$PWD/$prism
exec unshare -rn sh -c 'ip link set lo up && exec .venv/bin/python -m pytest -q tests/components/test_portable_beam.py'
