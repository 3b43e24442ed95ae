#!/bin/sh
# Builds a small Linux for a virtual machine: samples/x86/linux.sh [--install] [--smp] [OUTDIR]
#
# From Debian's source package with the computer's own compiler, and a root file system around
# Debian's static busybox. In OUTDIR (default: build/samples/x86/linux):
#
#   vmlinux         the kernel as an ELF file, entered by PVH: the fastest start
#   bzImage         the same kernel, packed, as boot loaders want it
#   initramfs.cpio  busybox, and an init that ends in a shell on COM1
#   nocall.cpio     a first program without system calls, for backends that cannot run them
#
# --smp makes a kernel for several processors, which finds them by ACPI (default OUTDIR: linux-smp
# beside the other).
# Nothing is downloaded; --install asks apt for the packages that are missing. It takes 10 minutes of
# processor time and 1.2 GB in OUTDIR (`rm -r OUTDIR/source OUTDIR/build` gives them back).
set -eu

packages="linux-source-6.1 busybox-static make gcc libc6-dev libelf-dev flex bison bc xz-utils lz4"
here=$(cd "$(dirname "$0")" && pwd)
install=no
config=config
out=
name=linux

fail() {
    echo "linux.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --install) install=yes ;;
    --smp) config='config config-smp' name=linux-smp ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
    -*) fail "unknown option '$1' (see --help)" ;;
    *) [ -z "$out" ] || fail "one folder only"; out=$1 ;;
    esac
    shift
done
out=${out:-$here/../../build/samples/x86/$name}
jobs=${JOBS:-$(nproc)}
epoch=1767225600 # the time of everything that is built: the beginning of 2026

# ---- what is needed ------------------------------------------------------------------------------

[ "$(uname -m)" = x86_64 ] || fail "this computer is no x86-64, and a cross compiler is not used"
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

# ---- the source, without what this kernel does not read ------------------------------------------

if [ ! -e source/.complete ]; then
    echo "unpacking $archive"
    rm -rf source
    mkdir source
    tar -xf $archive -C source --strip-components=1 --exclude='*/tools/testing' \
        --exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/net/*/*.[ch]' \
        --exclude='*/sound/*.c' --exclude='*/drivers/media/*.c'
    touch source/.complete
fi

# ---- configuration -------------------------------------------------------------------------------

export ARCH=x86_64
export KBUILD_BUILD_USER=vitrine KBUILD_BUILD_HOST=vitrine KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_TIMESTAMP='2026-01-01 00:00:00 UTC' SOURCE_DATE_EPOCH=$epoch

kernel_make() {
    make -C source O="$out/build" -s "$@"
}

mkdir -p build
(cd "$here/linux" && cat $config) >fragment # $config: a list
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
kernel_make -j"$jobs" bzImage vmlinux

# ---- the root file systems -----------------------------------------------------------------------

gcc -m64 -O1 -std=gnu17 -Wall -Wextra -ffreestanding -fno-pic -fno-stack-protector \
    -fcf-protection=none -fno-asynchronous-unwind-tables -nostdlib -static -no-pie \
    -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-s -o build/nocall "$here/linux/nocall.c"
cat >build/initramfs.list <<EOF
dir /dev 0755 0 0
nod /dev/console 0600 0 0 c 5 1
dir /bin 0755 0 0
file /bin/busybox /bin/busybox 0755 0 0
file /init $here/linux/init 0755 0 0
EOF
cat >build/nocall.list <<EOF
dir /dev 0755 0 0
nod /dev/console 0600 0 0 c 5 1
file /init build/nocall 0755 0 0
EOF
for list in initramfs nocall; do
    build/usr/gen_init_cpio -t $epoch build/$list.list >build/$list.cpio
done

# All of it appears at once, when all of it is there.
mv build/initramfs.cpio build/nocall.cpio .
cp build/vmlinux vmlinux.new && mv vmlinux.new vmlinux
cp build/arch/x86/boot/bzImage bzImage.new && mv bzImage.new bzImage

ls -l vmlinux bzImage initramfs.cpio nocall.cpio
echo "Run it (README.md beside this script has what a software backend of KVM needs):
    vitrine run $out/vmlinux --initrd $out/initramfs.cpio --no-reboot \\
        --kernel-args 'console=ttyS0 reboot=k panic=-1'"
