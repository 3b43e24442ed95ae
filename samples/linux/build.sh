#!/bin/sh
# Builds a Linux kernel that runs as a guest: samples/linux/build.sh [--install] [OUTDIR]
#
# From Debian's source package, with Debian's cross compiler, for RV32IMA with Sv32. The kernel
# holds its own root file system, in which init.c is the only program; so the result is one file. In
# OUTDIR (default: build/samples/linux):
#
#   Image      the kernel as a flat image
#   linux.elf  the same with its symbols, placed where it is loaded
#   disk.img   a disk of 64 KiB with a line of text in its first sector
#
# Same sources and compiler, same bytes: time, user, host and paths of the build are not in them.
# Nothing is downloaded; --install asks apt for the packages that are missing. It takes 4 minutes of
# processor time and 0.9 GB in OUTDIR (`rm -r OUTDIR/source OUTDIR/build` gives them back).
set -eu

packages="linux-source-6.1 gcc-riscv64-linux-gnu make gcc libc6-dev flex bison bc xz-utils"
cross=riscv64-linux-gnu-
here=$(cd "$(dirname "$0")" && pwd)
install=no
out=

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --install) install=yes ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
    -*) fail "unknown option '$1' (see --help)" ;;
    *) [ -z "$out" ] || fail "one folder only"; out=$1 ;;
    esac
    shift
done
out=${out:-$here/../../build/samples/linux}
jobs=${JOBS:-$(nproc)}
epoch=1767225600 # the time of everything that is built: the beginning of 2026

# ---- what is needed ------------------------------------------------------------------------------

missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing="$missing $package"
done
if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    [ $install = yes ] || fail "these packages are missing:$missing
Install them by
    ${as_root:+$as_root }apt-get install$missing
or call this script with --install."
    # shellcheck disable=SC2086 # a list
    $as_root apt-get install -y --no-install-recommends $missing
fi
archive=/usr/src/linux-source-6.1.tar.xz
[ -r $archive ] || fail "$archive is not there: this is no Debian 12, or the package is damaged"

mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$out"

# ---- the source, without what no RISC-V kernel reads ---------------------------------------------

if [ ! -e source/.complete ]; then
    echo "unpacking $archive"
    rm -rf source
    mkdir source
    tar -xf $archive -C source --strip-components=1 --exclude='*/tools/testing' \
        --exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/net/*/*.[ch]' \
        --exclude='*/sound/*.c' --exclude='*/drivers/media/*.c'
    touch source/.complete
fi

# ---- init, and the root file system around it ----------------------------------------------------

${cross}gcc -march=rv32ima -mabi=ilp32 -O1 -std=gnu17 -Wall -Wextra -ffreestanding -fno-builtin \
    -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -nostdlib -static -no-pie \
    -Wl,--build-id=none -Wl,-s -Wl,-Ttext=0x11000 -o init "$here/init.c"
# The archive has this file's time in it. As make would now take it for old, the archive must go.
touch -d "@$epoch" init
rm -f build/usr/initramfs_data.cpio
sed "s|@INIT@|$out/init|" "$here/initramfs.list" >initramfs.list

# ---- configuration -------------------------------------------------------------------------------

export ARCH=riscv CROSS_COMPILE=$cross
export KBUILD_BUILD_USER=vitrine KBUILD_BUILD_HOST=vitrine KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_TIMESTAMP='2026-01-01 00:00:00 UTC' SOURCE_DATE_EPOCH=$epoch

kernel_make() {
    make -C source O="$out/build" -s "$@"
}

mkdir -p build
{
    cat "$here/config"
    echo "CONFIG_INITRAMFS_SOURCE=\"$out/initramfs.list\""
} >fragment
kernel_make tinyconfig >config.log 2>&1 || fail "tinyconfig: see $out/config.log"
(cd build && ../source/scripts/kconfig/merge_config.sh -m -O . .config ../fragment) \
    >>config.log 2>&1
kernel_make olddefconfig >>config.log 2>&1 || fail "the configuration: see $out/config.log"
# An option whose dependencies are not met vanishes silently.
grep CONFIG_ fragment | while read -r option; do
    case $option in
    '# '*) ! grep -q "^$(echo "$option" | cut -d' ' -f2)=" build/.config ;;
    *) grep -qxF "$option" build/.config ;;
    esac || fail "this kernel's configuration does not take: $option"
done

# ---- the kernel ----------------------------------------------------------------------------------

echo "building the kernel in $out/build"
kernel_make -j"$jobs" Image vmlinux
cp build/arch/riscv/boot/Image Image
# The kernel is linked to physical address 0 and moves itself; where it is loaded is 0x80400000.
${cross}objcopy --change-section-lma '*+0x80400000' build/vmlinux linux.elf

# ---- the disk ------------------------------------------------------------------------------------

echo 'a line of text in the first sector of a virtual disk' >text
dd if=/dev/zero of=disk.img bs=1024 count=64 2>/dev/null
dd if=text of=disk.img conv=notrunc 2>/dev/null
rm -f text

ls -l Image linux.elf disk.img
echo "Run it:
    vitrine run $out/Image --disk $out/disk.img"
