#!/bin/sh
# What the image runs when nothing else is asked for: the yt8m command; or, with the arguments by which Dataflow and
# Flink start a worker, Beam's own start-up program. Kubeflow Pipelines names its command itself.
set -eu
for argument in "$@"; do
  case "$argument" in
    --worker_pool | --id=* | --provision_endpoint=*) exec "${BEAM_BOOT:-/opt/apache/beam/boot}" "$@" ;;
  esac
done
exec yt8m "$@"
