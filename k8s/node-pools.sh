#!/usr/bin/env bash
# Creates GKE node pools. Their twins for Config Connector are in pipelines/config-connector/node-pools.yaml.
#
#   k8s/node-pools.sh --dry-run all            only show the commands
#   k8s/node-pools.sh cpu serving t4           spot GPU nodes: cheap, and may go any time (Trainers resume)
#   k8s/node-pools.sh --on-demand l4           GPU nodes that stay; pool l4 instead of l4-spot
#   k8s/node-pools.sh --flex-start a100        GPU nodes that come when there are some, for up to seven days: a100-flex
#   k8s/node-pools.sh --zones=ZONE,ZONE p100   where not all of the cluster's zones have the GPU
#
# Pools: cpu (pipeline steps without a GPU), serving, and the GPUs t4 p100 v100 l4 a100. All start with no node and grow
# with demand, but serving, which starts with two. K80 is not here: GKE has none any more (a recipe's profile
# k80 is for clusters of your own). A pool that exists is left alone.
#
# NVIDIA driver: gpu-driver-version=default makes GKE install the one that belongs to the node's version, and keep it
# there; no DaemonSet is needed. TensorFlow's CUDA 12 wants 525.60.13 or newer. For a driver of your own say
# gpu-driver-version=disabled and apply NVIDIA's or Google's installer. GPU nodes get the taint
# nvidia.com/gpu=present:NoSchedule, so that steps without a GPU never land there.
set -euo pipefail
cd "$(dirname "$0")"
. ./common.sh
load_settings

gpus=(t4 p100 v100 l4 a100)
dry_run='' kind=spot chosen='' zones='' pools=() repair=--enable-autorepair
for argument in "$@"; do
  case $argument in
    --dry-run) dry_run=1 ;;
    --on-demand | --flex-start)
      [ "${chosen:-$argument}" = "$argument" ] || fail "$chosen and $argument: give one of them"
      chosen=$argument kind=${argument/--on-demand/} kind=${kind/--flex-start/flex}
      ;;
    --zones=?*) zones=${argument#*=} ;;
    -h | --help) usage; exit 0 ;;
    all) pools+=(cpu serving "${gpus[@]}") ;;
    cpu | serving | t4 | p100 | v100 | l4 | a100) pools+=("$argument") ;;
    *) fail "no pool or option '$argument'. Pools: cpu serving ${gpus[*]} all; options: --dry-run --on-demand --flex-start --zones=" ;;
  esac
done
[ ${#pools[@]} -gt 0 ] || { usage >&2; exit 2; }

where=("--project=$PROJECT" "--location=$LOCATION" "--cluster=$CLUSTER")

# create NAME MACHINE MIN MAX DISK_GB [more flags]
create() {
  local name=$1 machine=$2 min=$3 max=$4 disk=$5
  shift 5
  if [ -z "$dry_run" ] && gcloud container node-pools describe "$name" "${where[@]}" >/dev/null 2>&1; then
    echo "# $name exists"
    return
  fi
  run gcloud container node-pools create "$name" "${where[@]}" --machine-type="$machine" \
    --num-nodes=0 --enable-autoscaling --total-min-nodes="$min" --total-max-nodes="$max" --location-policy=ANY \
    --image-type=COS_CONTAINERD --disk-type=pd-balanced --disk-size="$disk" "$repair" --enable-autoupgrade \
    --service-account="$NODE_ACCOUNT" --workload-metadata=GKE_METADATA "$@"
}

# gpu POOL MACHINE ACCELERATOR MAX
gpu() {
  local name=$1${kind:+-$kind} repair=$repair
  local flags=(--accelerator="type=$3,count=1,gpu-driver-version=default"
    --node-taints=nvidia.com/gpu=present:NoSchedule)
  case $kind in
    spot) flags+=(--spot) ;;
    flex)
      # Such nodes are not repaired, nor taken from a reservation.
      flags+=(--flex-start --reservation-affinity=none)
      repair=--no-enable-autorepair
      ;;
  esac
  [ -z "$zones" ] || flags+=("--node-locations=$zones")
  # 200 GB: the launcher copies a task's inputs to the node's disk.
  create "$name" "$2" 0 "$4" 200 "${flags[@]}" --node-labels="yt8m-pool=$name"
}

for pool in "${pools[@]}"; do
  case $pool in
    cpu) create cpu e2-standard-8 0 8 200 --node-labels=yt8m-pool=cpu ;;
    serving) create serving n2-standard-8 2 6 100 --node-labels=yt8m-pool=serving ;;
    t4) gpu t4 n1-standard-8 nvidia-tesla-t4 8 ;;
    p100) gpu p100 n1-standard-8 nvidia-tesla-p100 8 ;;
    v100) gpu v100 n1-standard-8 nvidia-tesla-v100 8 ;;
    l4) gpu l4 g2-standard-8 nvidia-l4 8 ;;
    a100) gpu a100 a2-highgpu-1g nvidia-tesla-a100 4 ;;
  esac
done
