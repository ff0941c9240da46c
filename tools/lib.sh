# Shared by the scripts in tools/: messages, what is installed, the build, the model's place.
# To be sourced by bash, after `set -euo pipefail`.
# shellcheck shell=bash

FG_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
FG_JOBS=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

# Messages go to standard error: standard output is for results.
say() { printf '%s\n' "$*" >&2; }
step() { printf '\n== %s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# --- what is installed ---
# A row a need: group, how to see that it is there, its package in Debian, Fedora and Arch.
fg_needs='
build  header:stdio.h        libc6-dev                glibc-devel             glibc
build  cmd:gcc               gcc                      gcc                     gcc
build  cmd:cmake             cmake                    cmake                   cmake
build  cmd:ninja             ninja-build              ninja-build             ninja
build  cmd:pkg-config        pkg-config               pkgconf-pkg-config      pkgconf
build  cmd:glslc             glslc                    glslc                   shaderc
build  pc:vulkan             libvulkan-dev            vulkan-loader-devel     vulkan-icd-loader,vulkan-headers
build  pc:lmdb               liblmdb-dev              lmdb-devel              lmdb
build  pc:libevent           libevent-dev             libevent-devel          libevent
build  pc:libxxhash          libxxhash-dev            xxhash-devel            xxhash
build  pc:libsodium          libsodium-dev            libsodium-devel         libsodium
build  pc:jansson            libjansson-dev           jansson-devel           jansson
build  pc:libpcre2-8         libpcre2-dev             pcre2-devel             pcre2
build  pc:libcurl            libcurl4-openssl-dev     libcurl-devel           curl
run    icd:*                 mesa-vulkan-drivers      mesa-vulkan-drivers     vulkan-swrast
model  cmd:python3           python3                  python3                 python
model  pip:                  python3-pip              python3-pip             python-pip
test   pc:cmocka             libcmocka-dev            libcmocka-devel         cmocka
test   cmd:spirv-val         spirv-tools              spirv-tools             spirv-tools
test   cmd:python3           python3                  python3                 python
test   pip:                  python3-pip              python3-pip             python-pip
test   venv:                 python3-venv             python3                 python
test   cmd:curl              curl                     curl                    curl
mesa   icd:lvp_icd           mesa-vulkan-drivers      mesa-vulkan-drivers     vulkan-swrast
radv   icd:radeon_icd        mesa-vulkan-drivers      mesa-vulkan-drivers     vulkan-radeon
swift  file:/usr/lib/chromium/vk_swiftshader_icd.json chromium - -
layers layer:khronos_validation vulkan-validationlayers vulkan-validation-layers vulkan-validation-layers
clang  cmd:clang             clang                    clang                   clang
fuzz   cmd:clang             clang                    clang                   clang
fuzz   rt:fuzzer             libclang-rt-dev          compiler-rt             compiler-rt
root   cmd:debootstrap       debootstrap              debootstrap             debootstrap
'

# The first file that the patterns match.
first_file() {
    local f
    for f in "$@"; do
        if [[ -e $f ]]; then
            printf '%s\n' "$f"
            return 0
        fi
    done
    return 1
}

# The manifest of an installed Vulkan driver whose name begins so.
icd_file() {
    local dir
    for dir in /usr/local/share/vulkan /usr/share/vulkan /etc/vulkan; do
        first_file "$dir/icd.d/$1"*.json && return 0
    done
    return 1
}

has() {
    local what=${1#*:}
    case $1 in
    cmd:*) command -v "$what" >/dev/null ;;
    header:*) printf '#include <%s>\n' "$what" | gcc -E -x c -o /dev/null - 2>/dev/null ;;
    pc:*) pkg-config --exists "$what" 2>/dev/null ;;
    icd:\*) [[ -n ${VK_ICD_FILENAMES:-}${VK_DRIVER_FILES:-} ]] || icd_file '' >/dev/null ;;
    icd:*) icd_file "$what" >/dev/null ;;
    file:*) [[ -e $what ]] ;;
    layer:*) layer_file "$what" >/dev/null ;;
    # clang's runtime of a sanitizer: the version's that is installed.
    rt:*) [[ -e $(clang -print-file-name="libclang_rt.$what-$(uname -m).a" 2>/dev/null) ]] ;;
    venv:*) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    pip:*) python3 -m pip --version >/dev/null 2>&1 ;;
    *) die "lib.sh: $1 is no kind of need" ;;
    esac
}

# The manifest of a Vulkan layer, by a part of its name.
layer_file() {
    first_file /usr/share/vulkan/explicit_layer.d/*"$1"*.json \
        /usr/local/share/vulkan/explicit_layer.d/*"$1"*.json /etc/vulkan/explicit_layer.d/*"$1"*.json
}

# debian, fedora, arch or other.
distribution() {
    local ids=other
    # shellcheck source=/dev/null
    [[ -r /etc/os-release ]] && ids=$(. /etc/os-release && echo " ${ID:-} ${ID_LIKE:-} ")
    case $ids in
    *' debian '* | *' ubuntu '*) echo debian ;;
    *' fedora '* | *' rhel '*) echo fedora ;;
    *' arch '*) echo arch ;;
    *) echo other ;;
    esac
}

# Installs as root, by sudo where there is one; stops with the command to type where there is none.
apt_install() {
    local log as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null ||
            stop_for "apt-get update && apt-get install --no-install-recommends $*"
        as_root=(sudo)
    fi
    step "installing what is missing: $*"
    log=$(mktemp)
    if ! "${as_root[@]}" apt-get -q update >"$log" 2>&1 ||
        ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
            -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die "apt-get could not install them; its last messages are above, the rest is in $log"
    fi
    rm -f "$log"
}

stop_for() {
    say "Some packages are missing. Install them as root, then start this again:"
    say "    $1"
    exit 1
}

# Installs what is missing of the groups named, or says what to install.
need() {
    local groups=" $* " group check debian fedora arch distro column
    local packages package missing=()
    distro=$(distribution)
    while read -r group check debian fedora arch; do
        if [[ -z $group || $groups != *" $group "* ]] || has "$check"; then
            continue
        fi
        case $distro in
        fedora) column=$fedora ;;
        arch) column=$arch ;;
        *) column=$debian ;;
        esac
        [[ $column != - ]] || die "$check is not here, and no package of this system is known for it"
        IFS=, read -r -a packages <<<"$column"
        for package in "${packages[@]}"; do
            [[ " ${missing[*]} " == *" $package "* ]] || missing+=("$package")
        done
    done <<<"$fg_needs"
    [[ ${#missing[@]} -gt 0 ]] || return 0
    case $distro in
    debian) apt_install "${missing[@]}" ;;
    fedora) stop_for "dnf install ${missing[*]}" ;;
    arch) stop_for "pacman -S --needed ${missing[*]}" ;;
    *)
        say "This is not a system whose packages are known here. In Debian's names, these are missing:"
        say "    ${missing[*]}"
        exit 1
        ;;
    esac
}

# --- the build ---
# build DIR [--target NAME] [CMAKE OPTION]...: configures DIR, and builds everything in it or that target. With
# FG_SHADER_DIR the shaders of another build of the same tree are taken.
build() {
    local dir=$1 log target=()
    shift
    if [[ ${1:-} == --target ]]; then
        target=(--target "$2")
        shift 2
    fi
    mkdir -p "$dir"
    log=$dir/configure.log
    local generator=()
    [[ -e $dir/CMakeCache.txt ]] || generator=(-G Ninja)
    [[ -z ${FG_SHADER_DIR:-} || $dir/shaders == "$FG_SHADER_DIR" ]] || set -- "$@" -DFULGUR_SHADER_DIR="$FG_SHADER_DIR"
    if ! cmake -S "$FG_ROOT" -B "$dir" "${generator[@]}" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        die "cmake could not configure $dir; its message is above"
    fi
    log=$dir/build.log
    if ! cmake --build "$dir" "${target[@]}" -j "$FG_JOBS" >"$log" 2>&1; then
        grep -v -e '^\[[0-9]*/[0-9]*\]' "$log" | head -n 60 >&2
        die "the build failed; all of its output is in $log"
    fi
}

# --- the model of the demonstration and of the tests ---
FG_MODEL_DIR=${XDG_DATA_HOME:-${HOME:-/root}/.local/share}/fulgur/models
# shellcheck disable=SC2034 # for the scripts that source this
FG_MODEL=$FG_MODEL_DIR/SmolLM2-135M-Instruct.Q4_1.gguf
