/* The files in the kernel itself, for a machine without a disk: a minifs image (fs.h). */
    .section .rodata
    .globl rom_image
    .balign 4096
rom_image:
    .incbin ROM_IMAGE
