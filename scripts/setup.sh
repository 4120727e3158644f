#!/usr/bin/env bash
# Installs the project into .venv from the lock file that this machine can run:
#
#   tfx121  requirements-tfx121.lock  TFX 1.21, Python 3.13 or 3.12, glibc 2.39 or newer (Debian 13, Ubuntu 24.04)
#   tfx116  requirements.lock         TFX 1.16, Python 3.11, any glibc (Debian 12)
#
# and what tests and lint want besides, from requirements-dev.lock or requirements-tfx121-dev.lock: the image is made
# without it.
#
# scripts/setup.sh           installs; LANE=tfx116 or LANE=tfx121 before it chooses, otherwise the newer one that runs here
# scripts/setup.sh --check   says what it would install, or what is missing, and installs nothing
# scripts/setup.sh --lock    compiles the lock files from pyproject.toml
#
# uv does the work because pip refuses TFX 1.16 on Python 3.11 (its metadata says < 3.11; every library under it
# ships 3.11 wheels). A uv on the PATH is used; otherwise one goes into a private .uv/ environment.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
# An interpreter is downloaded only where this script says so.
export UV_PYTHON_DOWNLOADS=never
# Once here, and not at the first use of each module: or at every use, where Python must not write into .venv.
export UV_COMPILE_BYTECODE=1

refuse() {
  echo "setup: $*" >&2
  exit 2
}

# What a person sees of uv and pip. --------------------------------------------------------------------------------

# told COMMAND...: runs it with one line of progress, on a terminal, in the place of one a package. Where it fails, one
# line has the reason and what to do.
told() {
  local output='' line fetched=0 doing='' done=''
  # The exit code comes last, since a process substitution hands none out.
  while IFS= read -r line; do
    case "$line" in
      'told: 0') done=yes; break ;;
      'told: '*) wipe; explain "$output" ;;
      ' Downloaded '* | ' '*' Downloaded '*) fetched=$((fetched + 1)); doing="$fetched large packages fetched" ;;
      'Prepared '*) doing="${line}; installing" ;;
      'Downloading '*) [ -n "$doing" ] || doing='fetching packages' ;;
    esac
    output+=$line$'\n'
    if [ -t 2 ] && [ -n "$doing" ]; then printf '\r\033[Ksetup: %s (%d s)' "$doing" "$SECONDS" >&2; fi
  done < <(code=0; "$@" 2>&1 || code=$?; printf '\ntold: %s\n' $code)
  wipe
  [ -n "$done" ] || explain "$output"
}

wipe() { if [ -t 2 ]; then printf '\r\033[K' >&2; fi; }

# explain OUTPUT: the first error and the last cause of it in one line, and what helps.
explain() {
  local reason help="all that was printed is in build/setup.log"
  mkdir -p build && printf '%s' "$1" > build/setup.log
  reason=$(printf '%s' "$1" | awk '
    tolower($0) ~ /^ *error: / { if (!first) first = $0 }
    /^ *(cause|Caused by): / { cause = $0 }
    NF { last = $0 }
    END { print (first ? first : last) (cause ? ";" cause : "") }' | awk '{ sub(/^ *(error|ERROR): */, ""); sub(/; *(cause|Caused by): */, ": "); print }')
  case "$1" in
    *'No space left on device'*)
      help="make room on that disk, or name a cache on another one: UV_CACHE_DIR=DIRECTORY make setup" ;;
    *'initialize cache'* | *'Read-only file system'* | *'Permission denied'*)
      help="name a directory for the cache that can be written to: UV_CACHE_DIR=DIRECTORY make setup" ;;
    *'error sending request'* | *'Failed to fetch'* | *'Could not find a version'* | *'dns error'* | *'timed out'*)
      help="the package index cannot be reached: is this machine online? A mirror is named by UV_DEFAULT_INDEX and PIP_INDEX_URL" ;;
  esac
  refuse "${reason:-it failed without a word}; $help"
}

case "$#${1:-}" in
  0 | 1--check | 1--lock) ;;
  1-h | 1--help) awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' scripts/setup.sh; exit 0 ;;
  *) refuse "takes nothing, --check or --lock, not '$*'; LANE=tfx116 or LANE=tfx121 before it chooses" ;;
esac

# The facts about this machine. ------------------------------------------------------------------------------------

# "2.41", or nothing where the C library is another one.
glibc_version() { { getconf GNU_LIBC_VERSION 2>/dev/null || true; } | awk '{ print $2 }'; }

# Where Python $1 is, or nothing: a name on the PATH may be a shim without an interpreter behind it.
find_python() {
  local name path
  for name in "python$1" python3; do
    if path=$("$name" -c 'import sys
print(sys.executable if "%d.%d" % sys.version_info[:2] == sys.argv[1] else "")' "$1" 2>/dev/null) && [ -n "$path" ]; then
      echo "$path"
      return
    fi
  done
}

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

has_headers() {
  "$1" -c 'import os, sys, sysconfig as s
sys.exit(not os.path.exists(os.path.join(s.get_paths()["include"], "Python.h")))'
}

# A field of /etc/os-release.
os_release() { (. "${OS_RELEASE:-/etc/os-release}" 2>/dev/null && eval "echo \"\${$1:-}\""); }

# Which of the Pythons that serve here the system's own packages hold.
packaged_python() {
  case "$(os_release ID)-$(os_release VERSION_ID)" in
    debian-12) echo 3.11 ;;
    ubuntu-24.*) echo 3.12 ;;
    debian-13 | ubuntu-25.*) echo 3.13 ;;
  esac
}

# "sudo apt-get install -y g++", or what can be said elsewhere.
install_command() {
  case " $(os_release ID) $(os_release ID_LIKE) " in
    *" debian "* | *" ubuntu "*) echo "sudo apt-get install -y $*" ;;
    *) echo "what Debian calls $*, by this system's package manager" ;;
  esac
}

# The decisions. ---------------------------------------------------------------------------------------------------

newer() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]; }

# Sets lane, lock, version and python; python is empty where uv has to fetch it.
choose() {
  local glibc candidate new=
  [ "$(uname -m)" = x86_64 ] || refuse "TFX has wheels for x86-64 only, and this machine is $(uname -m). Use the image:" \
    "docker build --platform linux/amd64 ."
  glibc=$(glibc_version)
  [ -n "$glibc" ] || refuse "TFX has wheels for glibc only, which this system lacks. Use the image: docker build ."
  if newer "$glibc" 2.39; then new=yes; fi
  case "${LANE:-}" in
    tfx121)
      [ -n "$new" ] || refuse "LANE=tfx121 needs glibc 2.39 or newer (Debian 13, Ubuntu 24.04); this system has $glibc." \
        "Leave LANE out."
      lane=tfx121 ;;
    tfx116) lane=tfx116 ;;
    "")
      # Where the newer one runs, Python 3.11 alone still serves.
      if [ -n "$new" ] && { [ -n "$(find_python 3.13)$(find_python 3.12)" ] || [ -z "$(find_python 3.11)" ]; }; then
        lane=tfx121
      else
        lane=tfx116
      fi ;;
    *) refuse "LANE must be tfx116 or tfx121, not $LANE" ;;
  esac
  local versions=(3.13 3.12)
  lock=requirements-tfx121.lock
  if [ $lane = tfx116 ]; then
    versions=(3.11)
    lock=requirements.lock
  fi
  version=
  python=
  for candidate in "${versions[@]}"; do
    python=$(find_python "$candidate")
    if [ -n "$python" ]; then
      version=$candidate
      return
    fi
  done
  # None is there: the one that the system's packages hold, or one that uv fetches.
  version=${versions[0]}
  for candidate in "${versions[@]}"; do
    if [ "$(packaged_python)" = "$candidate" ]; then version=$candidate; fi
  done
}

have_uv() { command -v uv >/dev/null || [ -x .uv/bin/uv ]; }

# One line names everything that is missing, and one command mends it.
check_machine() {
  local missing=() packages=()
  if [ -z "$python" ] && [ "$(packaged_python)" = "$version" ]; then
    missing+=("Python $version (python$version)")
    packages+=("python$version" "python$version-venv" "python$version-dev")
  elif [ -n "$python" ]; then
    if ! have_uv && ! has_venv "$python"; then
      missing+=("Python's venv module")
      packages+=("python$version-venv")
    fi
    # Some packages come as sources.
    if ! has_headers "$python"; then
      missing+=("Python's headers (Python.h)")
      packages+=("python$version-dev")
    fi
  elif ! have_uv && ! has_venv python3; then
    missing+=("a Python 3 with its venv module")
    packages+=(python3-venv)
  fi
  # For these, and for this project's TensorFlow operations.
  if ! command -v "${CXX:-c++}" >/dev/null && ! command -v g++ >/dev/null; then
    missing+=("a C++ compiler")
    packages+=(g++)
  fi
  if [ ${#missing[@]} -gt 0 ]; then
    local names
    names=$(printf ', %s' "${missing[@]}")
    refuse "missing ${names:2}. Install: $(install_command "${packages[*]}")"
  fi
}

# Why uv fetches a Python, in the words for the one line that says so.
why_fetch() {
  local own
  own=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
  if [ -z "$own" ]; then
    echo "no Python is here"
  elif newer "$own" 3.14; then
    echo "this system has Python $own, for which TensorFlow has no wheels"
  else
    echo "this system has Python $own, which does not serve with glibc $(glibc_version)"
  fi
}

find_uv() {
  if command -v uv >/dev/null; then
    uv=$(command -v uv)
    return
  fi
  uv=$PWD/.uv/bin/uv
  if ! "$uv" --version >/dev/null 2>&1; then
    echo "setup: installing uv $UV_VERSION into .uv/" >&2
    rm -rf .uv
    told "${python:-python3}" -m venv .uv
    told .uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
  fi
}

# compile UV'S ARGUMENTS...: pins and hashes, no addresses.
compile() {
  "$uv" pip compile --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet "$@"
}

# compile_lane LOCK PYTHON_OF_THE_GPU_IMAGE UV'S ARGUMENTS...: LOCK.lock for production, LOCK-dev.lock with what tests,
# lint and `yt8m export --onnx` want besides, and LOCK-gpu.lock with NVIDIA's libraries, which TensorFlow wants besides
# where there is a GPU.
compile_lane() {
  local lock=$1 python=$2
  shift 2
  # Resolved together, so that both fit; an output file that is there says which pins uv prefers.
  compile pyproject.toml --extra dev --extra onnx "$@" -o "$lock-all.lock"
  cp "$lock-all.lock" "$lock.lock"
  compile pyproject.toml "$@" -o "$lock.lock"
  # The markers that each line of a universal lock would bear say nothing.
  sed -i "s/ ; python_full_version < '3.14' and platform_machine == 'x86_64' and sys_platform == 'linux'//" \
    "$lock.lock" "$lock-all.lock"
  awk -F== 'NR == FNR { if (/^[^ ]/) production[$1]; next } /^[^ ]/ { wanted = !($1 in production) } wanted' \
    "$lock.lock" "$lock-all.lock" > "$lock-dev.lock"
  rm "$lock-all.lock"
  echo 'tensorflow[and-cuda]' | compile - --constraint "$lock.lock" --python-version "$python" |
    awk '/^[^ ]/ { wanted = /^nvidia-/ } wanted' > "$lock-gpu.lock"
}

choose
check_machine
if [ "${1:-}" = --check ]; then
  echo "setup: $lock on Python $version (${python:-fetched by uv: $(why_fetch)})"
  exit 0
fi
find_uv

if [ "${1:-}" = --lock ]; then
  # So that pins stay where they were unless something asks for another.
  for name in requirements requirements-tfx121; do
    cat $name.lock $name-dev.lock > $name-all.lock
  done
  compile_lane requirements 3.11 --python-version 3.11
  # One for Python 3.12 and 3.13: resolved for both at once.
  compile_lane requirements-tfx121 3.13 --universal --python-version 3.12
  exit 0
fi

dev_lock=${lock%.lock}-dev.lock
echo "setup: installing $(cat "$lock" "$dev_lock" | grep -c '==') packages for Python $version from $lock into .venv (3 GB; a minute or two)" >&2
if ! .venv/bin/python -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$version" 2>/dev/null; then
  if [ -z "$python" ]; then
    echo "setup: $(why_fetch): uv fetches Python $version" >&2
    UV_PYTHON_DOWNLOADS=automatic "$uv" python install "$version" ||
      refuse "uv could not fetch Python $version. Install one by hand, or use the image: docker build ."
  fi
  rm -rf .venv
  told "$uv" venv --quiet --python "${python:-$version}" .venv
fi
rm -f .venv/installed
export VIRTUAL_ENV=$PWD/.venv
told "$uv" pip sync --require-hashes "$lock" "$dev_lock"
# The lock holds setuptools itself, so the project's own build needs no second download.
# No cache: it does not know that operations have to be compiled again.
told "$uv" pip install --quiet --no-cache --no-deps --no-build-isolation -e .
touch .venv/installed
echo "setup: done in $SECONDS s" >&2
