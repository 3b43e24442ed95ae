/*
 * ns16550a: the serial port of a PC, with FIFOs.
 *
 * Transmitting takes no time, so the transmitter is always empty; the receiver has 16 bytes (one
 * with FIFOs off) and never overruns, because what does not fit waits outside. The character
 * timeout of the data sheet is taken as immediate: any byte in the FIFO interrupts, whatever the
 * trigger level says. Break, parity, modem lines and baud rates are registers without effect.
 */
#include "cpu/dev/uart.h"

#include <stdlib.h>

struct uart {
    struct device device;
    struct irq_line irq;
    void (*out)(void *context, const uint8_t *bytes, size_t count);
    void *context;
    uint8_t fifo[16];
    uint8_t head, count;
    uint8_t ier, lcr, mcr, scr, dll, dlm;
    bool fifo_on;
    bool thre_pending; /* "transmitter empty" interrupts once each time it becomes empty */
};

/* Registers; the first two are the divisor latch while LCR.DLAB is set. */
enum { RBR = 0, THR = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
enum { IER_RDA = 1, IER_THRE = 2, IER_ALL = 0x0f };
enum { IIR_NONE = 1, IIR_THRE = 2, IIR_RDA = 4, IIR_TIMEOUT = 12, IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2 };
enum { LCR_DLAB = 0x80, MCR_LOOP = 0x10 };
enum { LSR_DATA = 0x01, LSR_EMPTY = 0x60 };
enum { MSR_READY = 0xb0 }; /* carrier, data set ready, clear to send */

static const struct device_register registers[] = {
    {"RBR", RBR, 1, "r", "next byte received (DLAB: divisor, low)"},
    {"THR", THR, 1, "w", "byte to transmit (DLAB: divisor, low)"},
    {"IER", IER, 1, "rw", "interrupts: 1 received, 2 transmitter empty (DLAB: divisor, high)"},
    {"IIR", IIR, 1, "r", "what interrupts: 1 nothing, 2 transmitter, 4 or 12 receiver"},
    {"FCR", FCR, 1, "w", "FIFOs: 1 on, 2 clear receiver, 4 clear transmitter"},
    {"LCR", LCR, 1, "rw", "line format; bit 7 is DLAB"},
    {"MCR", MCR, 1, "rw", "modem control; bit 4 loops back"},
    {"LSR", LSR, 1, "r", "status: 1 byte received, 0x60 transmitter empty"},
    {"MSR", MSR, 1, "r", "modem status: always ready"},
    {"SCR", SCR, 1, "rw", "scratch"},
};

static const struct state_field fields[] = {
    STATE_NOT(struct uart, device, "wiring"),
    STATE_NOT(struct uart, irq, "wiring"),
    STATE_NOT(struct uart, out, "wiring"),
    STATE_NOT(struct uart, context, "wiring"),
    STATE(struct uart, U8, fifo),
    STATE(struct uart, U8, head),
    STATE(struct uart, U8, count),
    STATE(struct uart, U8, ier),
    STATE(struct uart, U8, lcr),
    STATE(struct uart, U8, mcr),
    STATE(struct uart, U8, scr),
    STATE(struct uart, U8, dll),
    STATE(struct uart, U8, dlm),
    STATE(struct uart, BOOL, fifo_on),
    STATE(struct uart, BOOL, thre_pending),
};
static const struct state_table table = STATE_TABLE("uart", struct uart, 1, fields);

/* ---- interrupts --------------------------------------------------------------------------- */

static uint8_t interrupt_id(const struct uart *u)
{
    if (u->count && u->ier & IER_RDA)
        return u->fifo_on ? IIR_TIMEOUT : IIR_RDA;
    if (u->thre_pending && u->ier & IER_THRE)
        return IIR_THRE;
    return IIR_NONE;
}

static void update(struct uart *u)
{
    irq_set(&u->irq, interrupt_id(u) != IIR_NONE);
}

/* ---- receiver and transmitter ------------------------------------------------------------- */

static bool receive(struct uart *u, uint8_t byte)
{
    unsigned room = u->fifo_on ? sizeof u->fifo : 1;
    if (u->count >= room)
        return false;
    u->fifo[(u->head + u->count++) % sizeof u->fifo] = byte;
    return true;
}

static uint8_t take(struct uart *u)
{
    if (!u->count)
        return 0;
    uint8_t byte = u->fifo[u->head % sizeof u->fifo];
    u->head = (uint8_t)((u->head + 1) % sizeof u->fifo);
    u->count--;
    update(u);
    return byte;
}

static void transmit(struct uart *u, uint8_t byte)
{
    if (u->mcr & MCR_LOOP)
        receive(u, byte);
    else if (u->out)
        u->out(u->context, &byte, 1);
    u->thre_pending = true;
}

size_t uart_input(struct uart *u, const uint8_t *bytes, size_t count)
{
    size_t taken = 0;
    while (taken < count && receive(u, bytes[taken]))
        taken++;
    update(u);
    return taken;
}

int uart_take(struct uart *u)
{
    return u->count ? take(u) : -1;
}

/* ---- registers ---------------------------------------------------------------------------- */

static uint8_t value_of(const struct uart *u, uint32_t offset)
{
    bool dlab = u->lcr & LCR_DLAB;
    switch (offset) {
    case RBR: return dlab ? u->dll : u->count ? u->fifo[u->head % sizeof u->fifo] : 0;
    case IER: return dlab ? u->dlm : u->ier;
    case IIR: return (uint8_t)(interrupt_id(u) | (u->fifo_on ? IIR_FIFO : 0));
    case LCR: return u->lcr;
    case MCR: return u->mcr;
    case LSR: return (uint8_t)(LSR_EMPTY | (u->count ? LSR_DATA : 0));
    case MSR: return MSR_READY;
    case SCR: return u->scr;
    default: return 0;
    }
}

static uint32_t uart_peek(const void *self, uint32_t offset, unsigned size)
{
    return value_of(self, offset);
}

static bool uart_read(void *self, uint32_t offset, unsigned size, uint32_t *value)
{
    struct uart *u = self;
    *value = value_of(u, offset);
    if (offset == RBR && !(u->lcr & LCR_DLAB))
        take(u);
    if (offset == IIR && interrupt_id(u) == IIR_THRE) {
        u->thre_pending = false;
        update(u);
    }
    return true;
}

static void write_fcr(struct uart *u, uint8_t value)
{
    bool on = value & FCR_ENABLE;
    if (on != u->fifo_on || value & FCR_CLEAR_RX)
        u->head = u->count = 0;
    u->fifo_on = on;
}

static void write_ier(struct uart *u, uint8_t value)
{
    if (value & IER_THRE && !(u->ier & IER_THRE)) /* it is empty already */
        u->thre_pending = true;
    u->ier = value & IER_ALL;
}

static bool uart_write(void *self, uint32_t offset, unsigned size, uint32_t word)
{
    struct uart *u = self;
    uint8_t value = (uint8_t)word;
    bool dlab = u->lcr & LCR_DLAB;
    switch (offset) {
    case THR:
        if (dlab)
            u->dll = value;
        else
            transmit(u, value);
        break;
    case IER:
        if (dlab)
            u->dlm = value;
        else
            write_ier(u, value);
        break;
    case FCR: write_fcr(u, value); break;
    case LCR: u->lcr = value; break;
    case MCR: u->mcr = value & 0x1f; break;
    case SCR: u->scr = value; break;
    }
    update(u);
    return true;
}

static void uart_reset(void *self)
{
    struct uart *u = self;
    for (unsigned i = 0; i < sizeof u->fifo; i++)
        u->fifo[i] = 0;
    u->head = u->count = u->ier = u->lcr = u->mcr = u->scr = u->dll = u->dlm = 0;
    u->fifo_on = u->thre_pending = false;
}

static const struct device_ops ops = {uart_read, uart_write, uart_peek, uart_reset, free};

struct uart *uart_new(struct irq_line irq,
                      void (*out)(void *context, const uint8_t *bytes, size_t count),
                      void *context)
{
    struct uart *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->irq = irq;
    u->out = out;
    u->context = context;
    u->device = (struct device){
        .name = "uart",
        .about = "ns16550a serial port: the console",
        .size = 0x100,
        .ops = &ops,
        .self = u,
        .registers = registers,
        .register_count = sizeof registers / sizeof registers[0],
        .state = {&table, u},
    };
    return u;
}

struct device *uart_device(struct uart *uart)
{
    return &uart->device;
}
