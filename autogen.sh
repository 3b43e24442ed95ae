#!/bin/sh
# From a fresh clone to something that runs.
#
#   ./autogen.sh          generates configure
#   ./autogen.sh demo     installs what is missing, builds in build/, opens the visualizer
#   ./autogen.sh check    installs what is missing, builds in build/, runs every test
#
# Packages are installed on Debian and Ubuntu only, and apt is not called when all are there.
# shellcheck disable=SC2086 # lists of packages are split where they are used
set -e
cd "$(dirname "$0")"

tools="gcc make autoconf automake pkg-config"
libraries="libelf-dev libdw-dev libfdt-dev libcairo2-dev libcapstone-dev
    libslirp-dev libseccomp-dev nettle-dev zlib1g-dev"
gui="libgtk-4-dev libvte-2.91-gtk4-dev adwaita-icon-theme librsvg2-common fonts-dejavu-core"
guests="gcc-riscv64-unknown-elf"
tests="check seabios qemu-system-misc qemu-system-x86 qemu-utils gdb-multiarch jq mandoc xvfb xauth xdotool dbus dbus-x11 at-spi2-core
    gir1.2-atspi-2.0 python3 python3-gi imagemagick poppler-utils libxml2-utils desktop-file-utils appstream"

fedora="gcc make autoconf automake pkgconf-pkg-config elfutils-libelf-devel elfutils-devel
    libfdt-devel cairo-devel capstone-devel libslirp-devel libseccomp-devel nettle-devel zlib-devel gtk4-devel vte291-gtk4-devel gcc-riscv64-linux-gnu"
fedora_tests="check-devel seabios-bin qemu-system-riscv qemu-system-x86 qemu-img gdb jq mandoc xorg-x11-server-Xvfb xdotool dbus-x11
    at-spi2-core python3-gobject ImageMagick poppler-utils libxml2 desktop-file-utils appstream"
arch="base-devel libelf dtc cairo capstone libslirp libseccomp nettle zlib gtk4 vte4 riscv64-elf-gcc"
arch_tests="check seabios qemu-system-riscv qemu-system-x86 qemu-img gdb jq mandoc xorg-server-xvfb xdotool at-spi2-core
    python-gobject imagemagick poppler libxml2 desktop-file-utils appstream"

say() { printf '%s\n' "$*" >&2; }
die() { say "autogen.sh: $*"; exit 1; }

# Prints a list on one line, wherever it was broken above.
flat() { echo "$*" | tr -s ' \n' ' '; }

print_other_systems() {
    say "autogen.sh: this system has no apt. Install these packages, then build by hand:"
    say ""
    say "  Fedora:  sudo dnf install $(flat "$fedora" "$1")"
    say "  Arch:    sudo pacman -S --needed $(flat "$arch" "$2")"
    say ""
    say "  ./autogen.sh && mkdir -p build && cd build && ../configure && make && ./vitrine-gui"
    exit 1
}

have_apt() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

missing_packages() {
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=none
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "neither root nor sudo; as root run: $*"
    fi
}

# Installs those of the packages named that are missing.
install_packages() {
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    say "autogen.sh: installing $missing"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update ||
        die "apt-get update failed; still missing: $missing"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends $missing || die "apt-get could not install: $missing"
}

# Run again only when something that it depends on is newer (autoreconf without --force).
generate() {
    for tool in autoreconf automake pkg-config; do
        command -v $tool >/dev/null ||
            die "$tool is missing (\"./autogen.sh demo\" installs what is needed on Debian and Ubuntu)"
    done
    mkdir -p build-aux
    autoreconf --install --warnings=all,no-portability
}

jobs_here() { nproc 2>/dev/null || echo 2; }

configure_in() { # folder, configure's options
    folder=$1
    shift
    mkdir -p "$folder"
    # What was installed just now may change what configure finds; make sees to the rest.
    if [ ! -e "$folder/config.status" ] || [ -n "$missing" ]; then
        (cd "$folder" && ../configure -q "$@") || die "configure failed, see $folder/config.log"
    fi
}

build_in() {
    make -s -C "$1" -j"$(jobs_here)" || die "the build in $1/ failed, see the messages above"
}

run_demo() {
    guest=build/samples/minios/minios.elf
    disk=build/samples/minios/fs.img
    [ -e $guest ] || die "$guest was not built: is a RISC-V compiler installed?"
    if [ -x build/vitrine-gui ] && [ -n "$DISPLAY$WAYLAND_DISPLAY" ]; then
        exec build/vitrine-gui
    fi
    if [ ! -x build/vitrine-gui ]; then
        say "The window was not built (configure says what it needs); here is the guest in the terminal."
    else
        say "No display here (DISPLAY and WAYLAND_DISPLAY are empty); here is the guest in the terminal."
    fi
    say "To see the window, run build/vitrine-gui on a desktop, over \"ssh -X\", or under"
    say "\"xvfb-run\" or a VNC server. Type \"help\"; leave with Ctrl-A x."
    say ""
    exec build/vitrine run $guest --disk $disk
}

# Adds up what automake's TAP driver counted, and shows the log of what failed. Many a test waits for
# something: one more than there are processors.
run_tests() { # folder
    log=$1/check-output.log
    { status=0; make -C "$1" -j"$(($(jobs_here) + 1))" check 2>&1 || status=$?; echo "$status" >"$1/check-status"; } |
        tee "$log"
    status=$(cat "$1/check-status")
    rm -f "$1/check-status"
    count() { awk -v word="$1:" '$1 == "#" && $2 == word { n += $3 } END { print n + 0 }' "$log"; }
    passed=$(($(count PASS) + $(count XFAIL)))
    failed=$(($(count FAIL) + $(count XPASS) + $(count ERROR)))
    if [ "$status" != 0 ]; then
        [ "$failed" != 0 ] || failed=1 # it did not come to the tests
        show_failures "$1"
    fi
    skips=$(cat "$1"/tests/*.log "$1"/tests/*/*.log 2>/dev/null | grep -E '^(ok|1\.\.0).*# SKIP' || true)
    [ -z "$skips" ] || printf 'Skipped:\n%s\n' "$skips"
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}

show_failures() {
    find "$1" -name '*.trs' | while read -r trs; do
        if grep -qE '^:global-test-result: (FAIL|XPASS|ERROR)' "$trs"; then
            printf '\n==== %s\n' "${trs%.trs}.log"
            tail -n 200 "${trs%.trs}.log"
        fi
    done
    printf '\n'
}

case "${1-}" in
'')
    generate
    ;;
demo)
    have_apt || print_other_systems "" ""
    install_packages $tools $libraries $gui $guests
    generate
    configure_in build
    build_in build
    run_demo
    ;;
check)
    have_apt || print_other_systems "$fedora_tests" "$arch_tests"
    install_packages $tools $libraries $gui $guests $tests
    generate
    folder=${VITRINE_BUILD:-build}
    shift
    configure_in "$folder" "$@"
    build_in "$folder"
    run_tests "$folder"
    ;;
-h | --help | help)
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" | grep -v shellcheck
    ;;
*)
    say "autogen.sh: unknown word '$1' (nothing, demo or check)"
    exit 2
    ;;
esac
