#!/bin/sh
# Init container of the servers: fetches the versions that models.config names and lets a pod start only with files
# that are exactly those of the manifest that the publisher wrote. A SavedModel is a program.
#
# Needs MODEL_BASE (gs://...), STABLE_VERSION and, where models.config names it, CANARY_VERSION.
# Or fetch.sh gs://.../VERSION DIRECTORY, as KServe calls it: into DIRECTORY/VERSION.
set -eu
export LC_ALL=C
config=${CONFIG_DIR:-/config} models=${MODELS_DIR:-/models} scratch=${TMPDIR:-/tmp}

fail() {
  echo "fetch: $*" >&2
  exit 1
}

is_version() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
}

# fetch SOURCE TARGET
fetch() {
  source=$1 target=$2
  # Before anything is written: no name may lead out of the target.
  names=$(gcloud storage ls "$source/**") ||
    fail "$source was not fetched. Is it there (gcloud storage ls ${source%/*}), and may this pod's account read it?"
  # A name that ends in a slash stands for a directory.
  outside=$(printf '%s\n' "$names" | cut -c $((${#source} + 2))- | sed 's|/$||; /^$/d' |
    grep -E '(^|/)(\.\.?)?(/|$)' || true)
  [ -z "$outside" ] || fail "$source has names that lead out of their directory: $outside"
  mkdir -p "$target"
  # Goes on where a container that was killed had stopped, and checks crc32c.
  gcloud storage rsync --recursive --delete-unmatched-destination-objects "$source" "$target" ||
    fail "$source was not fetched. Is it there (gcloud storage ls ${source%/*}), and may this pod's account read it?"
  cd "$target"
  for name in manifest.sha256 saved_model.pb variables/variables.index; do
    [ -f "$name" ] || fail "$source has no $name: publish the model again"
  done
  sha256sum --check --strict --quiet manifest.sha256 ||
    fail "$source is not what was published (see above): delete this version and publish the model again"
  # 64 digits and two spaces precede a name.
  cut -c 67- manifest.sha256 | sort >"$scratch/listed"
  find . -type f ! -path ./manifest.sha256 | cut -c 3- | sort >"$scratch/present"
  extra=$(comm -13 "$scratch/listed" "$scratch/present")
  [ -z "$extra" ] || fail "$source has files that its manifest does not list: $extra"
  echo "fetch: $source is whole" >&2
}

if [ $# = 2 ]; then
  version=${1##*/}
  is_version "$version" || fail "$1 is no version: its last part is not a number"
  fetch "$1" "$2/$version"
  exit
fi

stable=${STABLE_VERSION:-} canary=${CANARY_VERSION:-}
is_version "$stable" || fail "STABLE_VERSION is '$stable', not a version number: correct settings.env"
if grep -q @CANARY_VERSION@ "$config/models.config"; then
  is_version "$canary" || fail "CANARY_VERSION is '$canary', not a version number: correct settings.env"
  [ "$canary" != "$stable" ] || fail "STABLE_VERSION and CANARY_VERSION are both $stable: correct settings.env"
fi
sed -e "s/@STABLE_VERSION@/$stable/g" -e "s/@CANARY_VERSION@/$canary/g" "$config/models.config" >"$models/models.config"

for version in $(sed -n 's/^ *versions: *\([0-9][0-9]*\) *$/\1/p' "$models/models.config"); do
  fetch "${MODEL_BASE:?}/$version" "$models/yt8m/$version"
done
