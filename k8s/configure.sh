#!/usr/bin/env bash
# Writes k8s/settings/settings.env, the one file with what is yours, from settings.env.example. Without it neither the
# overlays nor the scripts work, so that nothing of somebody else's project is ever applied.
#
#   k8s/configure.sh PROJECT [NAME=VALUE]...     such as k8s/configure.sh vision-prod LOCATION=us-central1
#
# A file that exists is left alone: edit it, or remove it first. git ignores it.
set -euo pipefail
cd "$(dirname "$0")"
. ./common.sh
cd settings

case ${1:-} in
  '') fail "which project? k8s/configure.sh PROJECT" ;;
  -h | --help) cd .. && usage; exit 0 ;;
  my-project) fail "my-project is the example's name: give your own" ;;
esac
project=$1
shift
fault=$(setting_fault PROJECT "$project")
[ -z "$fault" ] || fail "$fault"
[ ! -e settings.env ] || fail "k8s/settings/settings.env exists: edit it, or remove it first"
text=$(sed "s/my-project/$project/g" settings.env.example)
names=$(grep -o '^[A-Z][A-Z0-9_]*' settings.env.example | xargs)
given=' PROJECT '
for setting in "$@"; do
  name=${setting%%=*} value=${setting#*=}
  [[ $setting == *=* && $name =~ ^[A-Z0-9_]+$ && " $names " == *" $name "* ]] || fail "no setting '$setting'. Settings: $names"
  [[ $given != *" $name "* ]] || fail "$name is given twice"
  given+="$name "
  fault=$(setting_fault "$name" "$value")
  [ -z "$fault" ] || fail "$fault"
  text=$(name=$name value=$value awk -F= '$1 == ENVIRON["name"] { print $1 "=" ENVIRON["value"]; next } { print }' <<<"$text")
done
printf '%s\n' "$text" > settings.env
echo "k8s/settings/settings.env: read it through" >&2
