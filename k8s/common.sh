# For the scripts beside it (source it): the values of settings/settings.env, and commands that --dry-run only shows.

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 2
}

[ -e settings/settings.env ] || fail "k8s/settings/settings.env is missing: k8s/configure.sh PROJECT writes it"
# shellcheck source=settings/settings.env.example
. settings/settings.env
if grep -q my-project settings/settings.env; then fail "k8s/settings/settings.env still names my-project: put in yours"; fi

# Prints the comment at the top of the script.
usage() {
  sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//p}' "$0"
}

# Shows a command so that it can be pasted, and runs it unless this is a dry run.
run() {
  local argument line=''
  for argument in "$@"; do
    [[ $argument =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]] || argument=${argument@Q}
    line+=" $argument"
  done
  echo "${line# }"
  [ -n "$dry_run" ] || "$@"
}
