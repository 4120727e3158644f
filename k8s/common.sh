# For the scripts beside it (source it): the rules of settings/settings.env, its values, and commands that --dry-run only
# shows.

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 2
}

# setting_fault NAME VALUE: says what Google Cloud or Kubernetes would refuse of a value later; nothing of a right one. kustomize
# takes a value as it stands and a shell as a piece of program, so what they read differently is wrong: quotes, spaces, dollars.
setting_fault() {
  local rule='^[A-Za-z0-9][]A-Za-z0-9@._:/[-]*$' what='letters, digits and @._:/[]-, and no quotes, spaces or comments'
  case $1 in
    PROJECT)
      # Google's rule, and the older form with a domain (example.com:project).
      rule='^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$'
      what='a project id: 6 to 30 lower-case letters, digits and hyphens' ;;
    BUCKET) rule='^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$' what="a bucket's name, such as vision-prod-yt8m, without gs://" ;;
    MODEL_BASE) rule='^gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)+$' what='a directory in a bucket, gs://BUCKET/models/yt8m' ;;
    *_RANGE) rule='^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$' what='a range of addresses, such as 10.0.0.0/8' ;;
    *_WEIGHT | *_TRAFFIC) rule='^(100|[1-9]?[0-9])$' what='a share in percent, 0 to 100' ;;
    *_VERSION) rule='^[1-9][0-9]*$' what='the number of a version, 1 or more' ;;
    *_GPUS) rule='^(0|[1-9][0-9]*)$' what='a number of GPUs' ;;
  esac
  [[ $2 =~ $rule ]] || echo "$1 must be $what, not '$2'"
}

# Reads settings/settings.env. A file of an earlier release may lack what these scripts do not use.
load_settings() {
  local file=k8s/settings/settings.env line name fault number=0
  [ -e settings/settings.env ] || fail "$file is missing: k8s/configure.sh PROJECT writes it"
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    case $line in '' | '#'*) continue ;; esac
    [[ $line =~ ^[A-Z][A-Z0-9_]*= ]] || fail "$file, line $number: NAME=VALUE is wanted, not '$line'"
    case $line in *my-project*) fail "$file still names my-project: put in yours" ;; esac
    fault=$(setting_fault "${line%%=*}" "${line#*=}")
    [ -z "$fault" ] || fail "$file, line $number: $fault"
  done < settings/settings.env
  # shellcheck source=settings/settings.env.example
  . settings/settings.env
  for name in PROJECT LOCATION CLUSTER BUCKET {SERVING,PIPELINE}_{ACCOUNT,MEMBER} NODE_ACCOUNT; do
    [ -n "${!name:-}" ] || fail "$file has no $name: settings.env.example says what it is"
  done
}

# Prints the comment at the top of the script, in whose directory this shell is.
usage() {
  sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//p}' "$(basename "$0")"
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
