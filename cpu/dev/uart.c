/*
 * ns16550a: the serial port of a PC, with FIFOs.
 *
 * Transmitting takes no time, so the transmitter is always empty; the receiver has 16 bytes (one
 * with FIFOs off) and overruns only in loopback, because what does not fit waits outside. The
 * character timeout of the data sheet is taken as immediate: a byte in the FIFO interrupts at once,
 * as "data available" from the trigger level on and as "timeout" below it. The modem lines say that
 * the other side is always ready, and follow MCR in loopback. Break, parity and baud rates are
 * registers without effect.
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
    uint8_t fcr;         /* the enable bit and the trigger level */
    uint8_t errors;      /* LSR's, until it is read */
    uint8_t modem_delta; /* MSR's low half: which lines have changed since it was read */
    bool thre_pending; /* "transmitter empty" interrupts once each time it becomes empty */
};

/* Registers; the first two are the divisor latch while LCR.DLAB is set. */
enum { RBR = 0, THR = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
enum { IER_RDA = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8, IER_ALL = 0x0f };
enum {
    IIR_NONE = 1, IIR_MODEM = 0, IIR_THRE = 2, IIR_RDA = 4, IIR_LINE = 6, IIR_TIMEOUT = 12,
    IIR_FIFO = 0xc0,
};
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_TRIGGER_SHIFT = 6 };
enum { LCR_DLAB = 0x80, MCR_LOOP = 0x10, MCR_ALL = 0x1f };
enum { LSR_DATA = 0x01, LSR_OVERRUN = 0x02, LSR_EMPTY = 0x60 };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_RI_ENDED = 0x04 };

static const struct device_register registers[] = {
    {"RBR", RBR, 1, "r", "next byte received (DLAB: divisor, low)"},
    {"THR", THR, 1, "w", "byte to transmit (DLAB: divisor, low)"},
    {"IER", IER, 1, "rw", "interrupts: 1 received, 2 sent, 4 line, 8 modem (DLAB: divisor, high)"},
    {"IIR", IIR, 1, "r", "low nibble: 1 nothing, 6 line, 4 or 12 receiver, 2 sent, 0 modem"},
    {"FCR", FCR, 1, "w", "FIFOs: 1 on, 2 clear receiver; bits 7:6 trigger at 1, 4, 8, 14"},
    {"LCR", LCR, 1, "rw", "line format; bit 7 is DLAB"},
    {"MCR", MCR, 1, "rw", "modem control; bit 4 loops back"},
    {"LSR", LSR, 1, "r", "status: 1 byte received, 2 overrun, 0x60 transmitter empty"},
    {"MSR", MSR, 1, "r", "modem lines, and which have changed since the last read"},
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
    STATE(struct uart, U8, fcr),
    STATE(struct uart, U8, errors),
    STATE(struct uart, U8, modem_delta),
    STATE(struct uart, BOOL, thre_pending),
};
static const struct state_table table = STATE_TABLE("uart", struct uart, 1, fields);

/* ---- interrupts --------------------------------------------------------------------------- */

static bool fifo_on(const struct uart *u)
{
    return u->fcr & FCR_ENABLE;
}

/* In the data sheet's order of priority. */
static uint8_t interrupt_id(const struct uart *u)
{
    static const uint8_t trigger[] = {1, 4, 8, 14};
    if (u->errors && u->ier & IER_LINE)
        return IIR_LINE;
    if (u->count && u->ier & IER_RDA) {
        bool enough = !fifo_on(u) || u->count >= trigger[u->fcr >> FCR_TRIGGER_SHIFT];
        return enough ? IIR_RDA : IIR_TIMEOUT;
    }
    if (u->thre_pending && u->ier & IER_THRE)
        return IIR_THRE;
    if (u->modem_delta && u->ier & IER_MODEM)
        return IIR_MODEM;
    return IIR_NONE;
}

static void update(struct uart *u)
{
    irq_set(&u->irq, interrupt_id(u) != IIR_NONE);
}

/* ---- receiver and transmitter ------------------------------------------------------------- */

static bool receive(struct uart *u, uint8_t byte)
{
    unsigned room = fifo_on(u) ? sizeof u->fifo : 1;
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
    if (u->mcr & MCR_LOOP) {
        if (!receive(u, byte))
            u->errors |= LSR_OVERRUN;
    } else if (u->out) {
        u->out(u->context, &byte, 1);
    }
    u->thre_pending = true;
}

size_t uart_input(struct uart *u, const uint8_t *bytes, size_t count)
{
    size_t taken = 0;
    bool connected = !(u->mcr & MCR_LOOP);
    while (connected && taken < count && receive(u, bytes[taken]))
        taken++;
    update(u);
    return taken;
}

int uart_take(struct uart *u)
{
    return u->count ? take(u) : -1;
}

/* ---- registers ---------------------------------------------------------------------------- */

/* The lines as they are: in loopback the UART's own outputs. */
static uint8_t modem_lines(uint8_t mcr)
{
    if (!(mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (uint8_t)((mcr & 2 ? MSR_CTS : 0) | (mcr & 1 ? MSR_DSR : 0) | (mcr & 4 ? MSR_RI : 0) |
                     (mcr & 8 ? MSR_DCD : 0));
}

static void write_mcr(struct uart *u, uint8_t value)
{
    uint8_t old = modem_lines(u->mcr), new = modem_lines(value);
    uint8_t changed = (uint8_t)((old ^ new) >> 4);
    if (new & MSR_RI) /* the ring indicator counts when it ends */
        changed &= (uint8_t)~MSR_RI_ENDED;
    u->modem_delta |= changed;
    u->mcr = value & MCR_ALL;
}

static uint8_t value_of(const struct uart *u, uint32_t offset)
{
    bool dlab = u->lcr & LCR_DLAB;
    switch (offset) {
    case RBR: return dlab ? u->dll : u->count ? u->fifo[u->head % sizeof u->fifo] : 0;
    case IER: return dlab ? u->dlm : u->ier;
    case IIR: return (uint8_t)(interrupt_id(u) | (fifo_on(u) ? IIR_FIFO : 0));
    case LCR: return u->lcr;
    case MCR: return u->mcr;
    case LSR: return (uint8_t)(LSR_EMPTY | u->errors | (u->count ? LSR_DATA : 0));
    case MSR: return (uint8_t)(modem_lines(u->mcr) | u->modem_delta);
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
    else if (offset == IIR && interrupt_id(u) == IIR_THRE)
        u->thre_pending = false;
    else if (offset == LSR)
        u->errors = 0;
    else if (offset == MSR)
        u->modem_delta = 0;
    update(u);
    return true;
}

static void write_fcr(struct uart *u, uint8_t value)
{
    bool on = value & FCR_ENABLE;
    if (on != fifo_on(u) || (on && value & FCR_CLEAR_RX))
        u->head = u->count = 0;
    u->fcr = on ? value & (FCR_ENABLE | 3 << FCR_TRIGGER_SHIFT) : 0;
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
    case MCR: write_mcr(u, value); break;
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
    u->fcr = u->errors = u->modem_delta = 0;
    u->thre_pending = false;
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
