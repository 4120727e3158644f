#!/usr/bin/env bash
# Creates the Google service accounts and gives each what it needs and no more. Their twins for Config Connector are in
# pipelines/config-connector/iam.yaml.
#
#   k8s/accounts.sh --dry-run        only show the commands
#   k8s/accounts.sh [--dataflow]     with what Beam steps on Dataflow need
#
# Needs a cluster with Workload Identity (gcloud container clusters create --workload-pool=PROJECT.svc.id.goog) and the
# bucket.
set -euo pipefail
cd "$(dirname "$0")"
. ./common.sh
load_settings

dry_run='' dataflow=''
for argument in "$@"; do
  case $argument in
    --dry-run) dry_run=1 ;;
    --dataflow) dataflow=1 ;;
    -h | --help) usage; exit 0 ;;
    *) fail "no option '$argument'. Options: --dry-run --dataflow" ;;
  esac
done

# account EMAIL DISPLAY_NAME
account() {
  if [ -z "$dry_run" ] && gcloud iam service-accounts describe "$1" --project="$PROJECT" >/dev/null 2>&1; then
    echo "# $1 exists"
    return
  fi
  run gcloud iam service-accounts create "${1%%@*}" --project="$PROJECT" --display-name="$2"
}

# on_project EMAIL ROLE
on_project() {
  run gcloud projects add-iam-policy-binding "$PROJECT" --member="serviceAccount:$1" --role="$2" --condition=None
}

# on_bucket EMAIL ROLE
on_bucket() {
  run gcloud storage buckets add-iam-policy-binding "gs://$BUCKET" --member="serviceAccount:$1" --role="$2"
}

# on_account EMAIL MEMBER ROLE
on_account() {
  run gcloud iam service-accounts add-iam-policy-binding "$1" --project="$PROJECT" --member="$2" --role="$3"
}

account "$SERVING_ACCOUNT" 'yt8m model servers'
on_account "$SERVING_ACCOUNT" "$SERVING_MEMBER" roles/iam.workloadIdentityUser
on_bucket "$SERVING_ACCOUNT" roles/storage.objectViewer

account "$PIPELINE_ACCOUNT" 'yt8m pipeline runs'
on_account "$PIPELINE_ACCOUNT" "$PIPELINE_MEMBER" roles/iam.workloadIdentityUser
on_bucket "$PIPELINE_ACCOUNT" roles/storage.objectUser

account "$NODE_ACCOUNT" 'yt8m cluster nodes'
on_project "$NODE_ACCOUNT" roles/container.defaultNodeServiceAccount
on_project "$NODE_ACCOUNT" roles/artifactregistry.reader

if [ -n "$dataflow" ]; then
  # Starts jobs, whose workers run as the same account.
  on_project "$PIPELINE_ACCOUNT" roles/dataflow.developer
  on_project "$PIPELINE_ACCOUNT" roles/dataflow.worker
  on_account "$PIPELINE_ACCOUNT" "serviceAccount:$PIPELINE_ACCOUNT" roles/iam.serviceAccountUser
fi
