/*
 * A kernel of the speed comparison in a virtual machine: at CPL 3, in pages of 2 MiB, with a few
 * lines of kernel below it that print its result.
 *
 * While the program runs nothing interrupts it, so there is no exit but those for pages that the
 * host gives to the guest at their first touch. Two marks say when it began and ended: the time
 * between them is what `vitrine compare` compares.
 */
#include "com1.h"
#include "door.h"
#include "print.h"

enum { MARK_BEGIN = 1, MARK_END = 2 };
enum { EXCEPTIONS = 32, INVALID = 6, UNEXPECTED = 97 };

/* SDM volume 3, figure 6-8. */
struct gate {
    uint16_t offset_low, selector;
    uint8_t stack, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
};

enum { INTERRUPT_GATE = 0x8e, FOR_CPL3 = 0x60 };

static struct gate idt[DOOR + 1] __attribute__((aligned(16)));

extern char gates[][16];
extern char *const user_stack;
void door_gate(void);
void invalid_gate(void);
void user(void);
void enter_user(void (*function)(void), void *stack);
void take_result(uint32_t rounds, uint32_t checksum);
void unexpected(uint32_t vector);
void main(void);

static void set_gate(unsigned vector, const void *code, uint8_t type)
{
    uintptr_t at = (uintptr_t)code;
    idt[vector] = (struct gate){
        .offset_low = (uint16_t)at,
        .selector = KERNEL_CS,
        .type = type,
        .offset_mid = (uint16_t)(at >> 16),
    };
}

static void load_idt(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof idt - 1, (uintptr_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void take_result(uint32_t rounds, uint32_t checksum)
{
    outb(MARK, MARK_END);
    print(com1_putc, rounds, checksum);
    leave(0);
}

void unexpected(uint32_t vector)
{
    com1_puts("unexpected exception ");
    com1_dec(vector);
    com1_putc('\n');
    leave(UNEXPECTED);
}

void main(void)
{
    for (unsigned vector = 0; vector < EXCEPTIONS; vector++)
        set_gate(vector, gates[vector], INTERRUPT_GATE);
    set_gate(INVALID, invalid_gate, INTERRUPT_GATE);
    set_gate(DOOR, door_gate, INTERRUPT_GATE | FOR_CPL3);
    load_idt();
    outb(MARK, MARK_BEGIN);
    enter_user(user, user_stack);
}
