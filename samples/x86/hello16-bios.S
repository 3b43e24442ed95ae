/*
 * A boot sector that uses its firmware: the BIOS, a library that is called by interrupts.
 *
 * INT n jumps through entry n of the table at address 0, which the BIOS has filled. AH says which
 * function is wanted. Three of them: INT 10h writes on the screen (here there is mostly none, and
 * nobody sees it), INT 14h on the serial port, INT 13h reads the disk that we came from.
 *
 * The BIOS has loaded only the first sector. The second text is in the second one.
 *
 * Run it: `vitrine run --kvm --firmware bios.bin --disk samples/x86/hello16-bios.img`.
 */
// expect: Hello by INT 14h, the serial port!
// expect: Hello from the second sector of the disk!
#include "pc.h"

#define SCREEN_PUT  0x0e        /* of INT 10h: AL at the cursor, BH = page */
#define SERIAL_PUT  0x01        /* of INT 14h: AL to port DX */
#define DISK_READ   0x02        /* of INT 13h: AL sectors of drive DL to ES:BX; see below */
#define TICKS      0x46c        /* of the clock: the BIOS counts them there */

    .code16
    .text
    .globl _start
_start:
    ljmp $0, $main
main:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp           # the stack grows down from where we are
    cld
    sti

    movw $on_screen, %si
    movb $SCREEN_PUT, %ah
    xorw %bx, %bx
1:  lodsb
    testb %al, %al
    jz   2f
    int  $0x10
    jmp  1b

    # Without a screen the BIOS prints on the serial port instead, but in its own time: a few letters
    # at each tick of its clock. It counts the ticks (18 a second) at 0:046c. Let it finish.
2:  movw TICKS, %cx
    addw $4, %cx
3:  hlt                         # until the next interrupt
    movw TICKS, %ax
    subw %cx, %ax
    js   3b

    movw $on_serial, %si
    call print

    movb $DISK_READ, %ah
    movb $1, %al                # one sector
    xorw %cx, %cx               # CH = cylinder 0,
    movb $2, %cl                # CL = sector 2: they count from 1,
    movb $0, %dh                # DH = head 0; DL = the drive, as the BIOS has passed it
    movw $second_sector, %bx
    int  $0x13
    movb $1, %al                # exit code 1
    jc   done                   # the carry flag says: it did not work
    movw $second_sector, %si
    call print
    xorb %al, %al
done:
    movw $DEBUG_EXIT, %dx
    outb %al, %dx
stop:
    hlt
    jmp  stop

print:                          # the text at SI, on the first serial port
    lodsb
    testb %al, %al
    jz   1f
    movb $SERIAL_PUT, %ah
    pushw %dx
    xorw %dx, %dx
    int  $0x14
    popw %dx
    jmp  print
1:  ret

on_screen:
    .asciz "Hello by INT 10h, the screen!\r\n"
on_serial:
    .asciz "Hello by INT 14h, the serial port!\n"

    .org 510
    .byte 0x55, 0xaa

second_sector:                  # its place in memory as well: 0000:7e00
    .asciz "Hello from the second sector of the disk!\n"
    .org 16 * 63 * 512          # one cylinder: on a smaller disk a BIOS finds none
