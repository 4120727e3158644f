#!/usr/bin/env bash
# Runs a command in this checkout inside a Debian 13 of its own, which has nothing but what the README asks for.
#
#   scripts/in_debian13.sh make test
#
# TFX 1.21's lock file needs glibc 2.39, which Debian 12 lacks: this way Debian 12 tests it, too. debootstrap makes the
# root directory from the package archive that apt uses here (a minute, 0.8 GB; with .venv 4 GB), and it is kept for the
# next time in $DEBIAN13_ROOT, by default ~/.cache/yt8m/debian13. The command gets the files of this checkout as they are
# (without what git ignores), and ../shared where that is there; what it writes to build/ is in build/debian13/ here.
#
# Exit code: the command's; 77 where no such root can be had, and one line says why.
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=git,make,g++,python3,python3-venv,python3-dev
root=${DEBIAN13_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/yt8m/debian13}
checkout=/yt8m/main home=/yt8m/home cache=/yt8m/cache

cannot() {
  echo "in_debian13: $*" >&2
  exit 77
}

# The archive that apt uses, where that is Debian's; debootstrap knows a default.
archive() {
  if (. /etc/os-release && [ "$ID" = debian ]); then
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | awk '!/security/' | head -1
  fi
}

make_root() {
  local made
  made=$(cat "$root/.made" 2>/dev/null || true)
  if [ "$made" = "$PACKAGES" ]; then return; fi
  echo "in_debian13: making a Debian 13 in $root (a minute)" >&2
  rm -rf "$root" "$root.new"
  mkdir -p "$(dirname "$root")"
  local mirror
  mirror=$(archive)
  if ! debootstrap --variant=minbase --include="ca-certificates,$PACKAGES" trixie "$root.new" $mirror \
    > "$root.log" 2>&1; then
    rm -rf "$root.new"
    cannot "debootstrap could not make a Debian 13: $(tail -1 "$root.log") (whole log: $root.log)"
  fi
  echo "$PACKAGES" > "$root.new/.made"
  mv "$root.new" "$root"
}

# Certificates, the name server and the registries' settings of this machine: what a download needs here, it needs there.
take_over_settings() {
  local file
  for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/uv/uv.toml \
    "${SSL_CERT_FILE:-}" "${PIP_CERT:-}" "${REQUESTS_CA_BUNDLE:-}"; do
    if [ -f "$file" ]; then
      mkdir -p "$root$(dirname "$file")"
      rm -f "$root$file"
      cp -L "$file" "$root$file"
    fi
  done
  for file in pip/pip.conf uv/uv.toml; do
    if [ -f "$HOME/.config/$file" ]; then
      install -D "$HOME/.config/$file" "$root$home/.config/$file"
    fi
  done
}

lay_checkout() {
  local target=$root$checkout
  mkdir -p "$target" "$root/yt8m/shared" "$root$cache"
  find "$root/tmp" -mindepth 1 -delete
  find "$target" -mindepth 1 -maxdepth 1 ! -name .venv ! -name .uv -exec rm -rf {} +
  rm -rf "$target.new"
  git clone --quiet --no-checkout --no-hardlinks . "$target.new"
  mv "$target.new/.git" "$target/.git"
  rmdir "$target.new"
  git ls-files -z --cached --others --exclude-standard |
    tar --create --null --files-from=- --ignore-failed-read --warning=no-failed-read | tar --extract -C "$target"
  git -C "$target" reset --quiet
}

usage() { sed -n '2,/^set/ s/^# \{0,1\}//p' scripts/in_debian13.sh; }
case ${1:-} in
  '') usage >&2; exit 2 ;;
  -h | --help) usage; exit 0 ;;
  -*) echo "in_debian13: no option '$1'; a command is wanted, such as scripts/in_debian13.sh make test" >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || cannot "only root can make a Debian 13 inside this system: run it as root, or use Debian 13 itself"
[ "$(uname -m)" = x86_64 ] || cannot "TFX has wheels for x86-64 only"
command -v debootstrap >/dev/null || cannot "debootstrap is missing. Install: apt-get install -y debootstrap"
unshare --mount true 2>/dev/null || cannot "this system allows no mounts (a container?)"

mkdir -p "$(dirname "$root")"
exec 8> "$root.lock"
flock --nonblock 8 || { echo "in_debian13: waiting for another run in $root" >&2; flock 8; }
make_root
take_over_settings
lay_checkout

uv_cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}
mkdir -p "$uv_cache" build/debian13 "$root$checkout/build"
settings=("HOME=$home" "UV_CACHE_DIR=$cache" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 UV_LINK_MODE=copy)
while read -r name; do
  case $name in
    UV_CACHE_DIR | UV_LINK_MODE | UV_PYTHON | PIP_FIND_LINKS) ;;
    *) settings+=("$name=${!name}") ;;
  esac
done < <(compgen -e | grep -E '^(CI|TERM|LANE)$|^(PIP|UV|OPENBLAS|SSL_CERT)_|_CA_BUNDLE$|SSL_CAINFO$|^(https?|no|all)_proxy$' || true)

# The lock on descriptor 8 goes on to the command. Mounts and processes of their own: both end with the command, whatever
# happens to this script, so that nothing of the machine's is inside the root when that is deleted.
root=$root uv_cache=$uv_cache cache=$cache checkout=$checkout build=$PWD/build/debian13 shared=$(realpath -m ../shared) \
  exec unshare --mount --propagation private --pid --fork --kill-child bash -c '
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"  # pseudo-terminals, too
    mount --bind "$uv_cache" "$root$cache"
    mount --bind "$build" "$root$checkout/build"
    if [ -d "$shared" ]; then mount --bind -o ro "$shared" "$root/yt8m/shared"; fi
    exec chroot "$root" env -i "$@"
  ' in_debian13 "${settings[@]}" bash -c "cd $checkout && exec \"\$@\"" in_debian13 "$@"
