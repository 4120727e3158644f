#!/usr/bin/env bash
# Writes k8s/settings/settings.env, the one file with what is yours, from settings.env.example. Without it neither the
# overlays nor the scripts work, so that nothing of somebody else's project is ever applied.
#
#   k8s/configure.sh PROJECT [NAME=VALUE]...     such as k8s/configure.sh vision-prod LOCATION=us-central1
#
# A file that exists is left alone: edit it, or remove it first. git ignores it.
set -euo pipefail
cd "$(dirname "$0")/settings"
fail() {
  echo "configure.sh: $*" >&2
  exit 2
}

case ${1:-} in
  '') fail "which project? k8s/configure.sh PROJECT" ;;
  -h | --help) sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//p}' ../configure.sh; exit 0 ;;
  my-project) fail "my-project is the example's name: give your own" ;;
esac
project=$1
shift
# Google's rule, and the older form with a domain (example.com:project).
[[ $project =~ ^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$ ]] || fail "'$project' is no project id"
[ ! -e settings.env ] || fail "k8s/settings/settings.env exists: edit it, or remove it first"
text=$(sed "s/my-project/$project/g" settings.env.example)
for setting in "$@"; do
  name=${setting%%=*} value=${setting#*=}
  [[ $setting == *=* ]] && grep -q "^$name=" <<<"$text" ||
    fail "no setting '$setting'. Settings: $(grep -o '^[A-Z_]*' settings.env.example | xargs)"
  text=$(name=$name value=$value awk -F= '$1 == ENVIRON["name"] { print $1 "=" ENVIRON["value"]; next } { print }' <<<"$text")
done
printf '%s\n' "$text" > settings.env
echo "k8s/settings/settings.env: read it through" >&2
