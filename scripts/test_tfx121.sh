#!/usr/bin/env bash
# Tests the newer lock file on a machine that cannot run it: the whole suite in a Debian 13 (scripts/in_debian13.sh).
# Then both compile the recipe yhls: Kubeflow must get the same pipeline, whichever of them wrote it.
#
# Exit code: 0 where everything passed; 77 where no Debian 13 can be had, and one line says why.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 0 ] || { echo "test_tfx121: takes no arguments, not '$*'" >&2; exit 2; }
[ -x .venv/bin/yt8m ] || { echo "test_tfx121: .venv/bin/yt8m is missing: make setup" >&2; exit 2; }

compile=(compile --recipe yhls --image yt8m:1.0 --pipeline-root gs://bucket/root --train 'gs://bucket/train*'
  --validate 'gs://bucket/validate*' --set push.directory=/models/yt8m --set kubernetes.volumes.models=/models)

# All but the line that names the compiler's version.
pipeline() { grep -v '^sdkVersion: ' "$1"; }

scripts/in_debian13.sh bash -c 'make test && .venv/bin/yt8m "$@" --out build/compiled.yaml' debian13 "${compile[@]}"
.venv/bin/yt8m "${compile[@]}" --out build/compiled.yaml
if ! diff <(pipeline build/compiled.yaml) <(pipeline build/debian13/compiled.yaml); then
  echo "test_tfx121: the two compile different pipelines: < here, > in Debian 13" >&2
  exit 1
fi
echo "test_tfx121: both compile the same pipeline"
