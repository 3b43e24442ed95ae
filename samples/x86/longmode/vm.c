/*
 * Virtual memory: four levels of tables, and pages that appear when they are touched.
 *
 * An address of 48 bits is four indices of 9 bits and an offset of 12:
 *
 *       47     39 38     30 29     21 20     12 11        0
 *      +---------+---------+---------+---------+-----------+
 *      |  PML4   |  PDPT   |directory|  table  |  offset   |
 *      +---------+---------+---------+---------+-----------+
 *
 * An entry of 64 bits is the physical address of the next table, or of the page, and flags:
 *
 *       63 62     52 51                    12 11   8 7  6 5       2 1 0
 *      +--+---------+------------------------+------+--+-+-+-----+-+-+-+
 *      |NX|         |  address >> 12         |      |PS|D|A|     |U|W|P|
 *      +--+---------+------------------------+------+--+-+-+-----+-+-+-+
 *
 * Nothing of the task is mapped at its start. What an address is good for stands in `regions`; a
 * page fault looks there, and maps one page. All tables lie in the first GiB, where a physical
 * address is a virtual one.
 *
 * Source: Intel SDM volume 3, 4.5 (tables) and 4.7 (error codes of page faults).
 */
#include "longmode.h"

#define PAGE    4096ul
#define PTE_NX  (1ul << 63)
#define ADDRESS 0x000ffffffffff000ul

enum { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4, FAULT_FETCH = 16 };

extern uint64_t pml4[512];                /* boot.S */
extern char kernel_end[];                 /* longmode.ld, as the following */
extern char user_text[], user_text_end[]; /* where the task sees its program, */
extern char user_data[], user_data_end[];
extern char user_text_at[], user_data_at[]; /* and where it is in physical memory */

uint64_t faults_served;

static uint64_t next_free; /* pages are taken and never given back */
static uint64_t zero_page; /* one page for all that is read before it is written */

/* ---- what is where ------------------------------------------------------------------------ */

struct region {
    const char *name;
    uint64_t start, end;
    uint64_t image;  /* the first page's physical address; 0: begins as zeros */
    uint64_t rights; /* beside PTE_P and PTE_U */
};

static const struct region regions[] = {
    {"program", (uint64_t)user_text, (uint64_t)user_text_end, (uint64_t)user_text_at, 0},
    {"data", (uint64_t)user_data, (uint64_t)user_data_end, (uint64_t)user_data_at, PTE_W | PTE_NX},
    {"heap", 0x50000000, 0x51000000, 0, PTE_W | PTE_NX},
    {"stack", USER_END - 16 * PAGE, USER_END, 0, PTE_W | PTE_NX},
};

static const struct region *region_of(uint64_t address)
{
    for (unsigned i = 0; i < sizeof regions / sizeof regions[0]; i++)
        if (address >= regions[i].start && address < regions[i].end)
            return &regions[i];
    return 0;
}

/* ---- pages and tables --------------------------------------------------------------------- */

static uint64_t new_page(void)
{
    uint64_t page = next_free, at = page, words = PAGE / 8;
    next_free += PAGE;
    __asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(0ul) : "memory");
    return page;
}

static unsigned index_of(uint64_t address, int level)
{
    return address >> (12 + 9 * level) & 511;
}

/* The entry in the last table, whatever it holds. Tables on the way are made as they are needed;
 * they give all rights, so that the last entry alone decides. */
static uint64_t *entry_of(uint64_t address)
{
    uint64_t *table = pml4;
    for (int level = 3; level > 0; level--) {
        uint64_t *entry = &table[index_of(address, level)];
        if (!(*entry & PTE_P))
            *entry = new_page() | PTE_P | PTE_W | PTE_U;
        table = (uint64_t *)(*entry & ADDRESS);
    }
    return &table[index_of(address, 0)];
}

/* An entry that was present may be in the TLB. */
static void set_entry(uint64_t *entry, uint64_t address, uint64_t value)
{
    *entry = value | PTE_P | PTE_U;
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

void vm_init(void)
{
    next_free = ((uint64_t)kernel_end + PAGE - 1) & -PAGE;
    zero_page = new_page();
}

/* ---- page faults -------------------------------------------------------------------------- */

static void say_fault(uint64_t page, uint64_t error, const char *where, const char *what)
{
    com1_puts("page fault: ");
    com1_puts(error & FAULT_FETCH ? "fetch" : error & FAULT_WRITE ? "write" : "read");
    com1_puts(error & FAULT_USER ? " by CPL 3 at " : " by CPL 0 at ");
    com1_hex(page, 8);
    com1_puts(error & FAULT_PRESENT ? ", protected; " : ", not present; ");
    com1_puts(where);
    com1_puts(": ");
    com1_puts(what);
    com1_putc('\n');
}

static bool is_allowed(const struct region *r, uint64_t error)
{
    if (error & FAULT_WRITE && !(r->rights & PTE_W))
        return false;
    return !(error & FAULT_FETCH && r->rights & PTE_NX);
}

bool vm_fault(uint64_t address, uint64_t error)
{
    const struct region *r = region_of(address);
    uint64_t page = address & -PAGE;
    if (!r || !is_allowed(r, error)) {
        say_fault(page, error, r ? r->name : "no region", "not allowed");
        return false;
    }
    uint64_t *entry = entry_of(address);
    if (r->image) {
        say_fault(page, error, r->name, "a page of the image");
        set_entry(entry, address, (r->image + (page - r->start)) | r->rights);
    } else if (error & FAULT_WRITE) {
        say_fault(page, error, r->name, "a new page");
        set_entry(entry, address, new_page() | r->rights);
    } else {
        say_fault(page, error, r->name, "the page of zeros, read-only");
        set_entry(entry, address, zero_page | (r->rights & ~(uint64_t)PTE_W));
    }
    faults_served++;
    return true;
}

/* ---- for the reader ----------------------------------------------------------------------- */

static void say_rights(uint64_t entry)
{
    com1_putc(entry & PTE_W ? 'w' : '-');
    com1_putc(entry & PTE_NX ? '-' : 'x');
    com1_putc(entry & PTE_U ? 'u' : '-');
    com1_putc(entry & PTE_A ? 'a' : '-');
    com1_putc(entry & PTE_D ? 'd' : '-');
}

void vm_say_walk(uint64_t address)
{
    static const char *const names[] = {"table", "directory", "PDPT", "PML4"};
    const uint64_t *table = pml4;
    com1_puts("walk of ");
    com1_hex(address, 8);
    for (int level = 3; level >= 0; level--) {
        uint64_t entry = table[index_of(address, level)];
        com1_puts(level == 3 ? ": " : ", ");
        com1_puts(names[level]);
        com1_putc(' ');
        com1_dec(index_of(address, level));
        com1_putc(' ');
        if (!(entry & PTE_P)) {
            com1_puts("not present");
            break;
        }
        say_rights(entry);
        if (entry & PTE_PS)
            break;
        table = (const uint64_t *)(entry & ADDRESS);
    }
    com1_putc('\n');
}
