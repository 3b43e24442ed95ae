/*
 * The timer: an 8254 that counts to 1193 at 1.193182 MHz, and the 8259A interrupt controllers
 * through which its line comes to the processor.
 *
 * Both are of 1981, and every PC since can pretend to have them. They take commands as sequences of
 * bytes. Source: Intel 8259A and 8254 data sheets.
 */
#include "longmode.h"

enum { FIRST_VECTOR = 32, HZ = 1000 };
enum { ICW1_START = 0x11, ICW4_8086 = 0x01, END_OF_INTERRUPT = 0x20 };
enum { CHANNEL_0_RATE = 0x34 }; /* channel 0, low byte then high byte, mode 2 */

volatile uint64_t ticks;

/* After power-on the controllers use vectors that are exceptions in protected mode. */
static void move_vectors(void)
{
    outb(PIC1, ICW1_START);
    outb(PIC2, ICW1_START);
    outb(PIC1 + 1, FIRST_VECTOR);
    outb(PIC2 + 1, FIRST_VECTOR + 8);
    outb(PIC1 + 1, 1 << 2); /* the second is at input 2 of the first */
    outb(PIC2 + 1, 2);
    outb(PIC1 + 1, ICW4_8086);
    outb(PIC2 + 1, ICW4_8086);
    outb(PIC1 + 1, 0xff & ~1); /* all masked but the timer's */
    outb(PIC2 + 1, 0xff);
}

void timer_start(void)
{
    uint16_t count = PIT_HZ / HZ;
    move_vectors();
    outb(PIT_MODE, CHANNEL_0_RATE);
    outb(PIT, (uint8_t)count);
    outb(PIT, (uint8_t)(count >> 8));
}

/* Until the controller is told, it lets no other interrupt through. */
void timer_interrupt(void)
{
    ticks++;
    outb(PIC1, END_OF_INTERRUPT);
}
