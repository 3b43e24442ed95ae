/* A KVM guest's physical memory: a memfd with a hole in its addresses. See memory.h. */
#include "config.h"

#include "hv/kvm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/state.h"

int kvm_memory_init(struct kvm_memory *m, uint64_t size)
{
    *m = (struct kvm_memory){.fd = -1, .size = size};
    m->low = size < KVM_LOW_MAX ? size : KVM_LOW_MAX;
    m->fd = memfd_create("guest memory", MFD_CLOEXEC);
    if (m->fd < 0)
        return -errno;
    m->host = MAP_FAILED;
    if (ftruncate(m->fd, (off_t)size) == 0)
        m->host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, m->fd, 0);
    if (m->host == MAP_FAILED) {
        int error = -errno;
        m->host = NULL;
        kvm_memory_free(m);
        return error;
    }
    return 0;
}

void kvm_memory_free(struct kvm_memory *m)
{
    if (m->host)
        munmap(m->host, m->size);
    if (m->fd >= 0)
        close(m->fd);
    free(m->written);
    *m = (struct kvm_memory){.fd = -1};
}

uint8_t *kvm_memory_at(const struct kvm_memory *m, uint64_t gpa, uint64_t count)
{
    if (gpa < m->low)
        return count <= m->low - gpa ? m->host + gpa : NULL;
    uint64_t above = gpa - KVM_HIGH_BASE, high = m->size - m->low;
    if (gpa < KVM_HIGH_BASE || above >= high || count > high - above)
        return NULL;
    return m->host + m->low + above;
}

bool kvm_memory_read(const struct kvm_memory *m, uint64_t gpa, void *bytes, size_t count)
{
    const uint8_t *at = kvm_memory_at(m, gpa, count);
    if (at)
        memcpy(bytes, at, count);
    return at != NULL;
}

/* KVM's log of dirty pages tells what vCPUs write, not what this program does. */
static void note_written(const struct kvm_memory *m, const uint8_t *at, size_t count)
{
    if (!m->written || !count)
        return;
    uint64_t first = (uint64_t)(at - m->host) / KVM_PAGE;
    uint64_t last = (uint64_t)(at + count - 1 - m->host) / KVM_PAGE;
    for (uint64_t page = first; page <= last; page++)
        __atomic_fetch_or(&m->written[page / 64], 1ull << (page % 64), __ATOMIC_ACQ_REL);
}

bool kvm_memory_write(const struct kvm_memory *m, uint64_t gpa, const void *bytes, size_t count)
{
    uint8_t *at = kvm_memory_at(m, gpa, count);
    if (at) {
        memcpy(at, bytes, count);
        note_written(m, at, count);
    }
    return at != NULL;
}

static bool is_zero(const uint8_t *page)
{
    static const uint8_t ZERO[KVM_PAGE];
    return !memcmp(page, ZERO, KVM_PAGE);
}

/* Where the memfd has data; holes would be filled by looking at them. */
void kvm_memory_digest(const struct kvm_memory *m, struct digest *digest)
{
    for (off_t from = 0, to; m->frozen || (from = lseek(m->fd, from, SEEK_DATA)) >= 0; from = to) {
        to = m->frozen ? (off_t)m->size : lseek(m->fd, from, SEEK_HOLE);
        for (uint64_t at = (uint64_t)from; at < (uint64_t)to && at < m->size; at += KVM_PAGE) {
            if (is_zero(m->host + at))
                continue;
            digest_u64(digest, at);
            digest_bytes(digest, m->host + at, KVM_PAGE);
        }
        if (m->frozen)
            break;
    }
}

/* ---- for devices -------------------------------------------------------------------------- */

static bool dma_read_memory(void *memory, uint64_t gpa, void *bytes, size_t count)
{
    return kvm_memory_read(memory, gpa, bytes, count);
}

static bool dma_write_memory(void *memory, uint64_t gpa, const void *bytes, size_t count)
{
    return kvm_memory_write(memory, gpa, bytes, count);
}

/* The memfd has nothing at this range: no page, or a hole. */
static bool is_hole(const struct kvm_memory *m, off_t from, uint64_t count)
{
    off_t data = lseek(m->fd, from, SEEK_DATA);
    return (data < 0 && errno == ENXIO) || data >= from + (off_t)count;
}

/*
 * Zero, and without memory of the host where that is possible:
 *
 *      shared mapping    a hole in the memfd. KVM follows by itself (its MMU notifier)
 *      private mapping   the memfd holds what the snapshot froze and stays as it is. Where that is a
 *                        hole, dropping the private copy gives zeros back; where it is not, it
 *                        would bring the old content back, so zeros are written over it
 *
 * In each case the pages differ from the layer below, as if the guest had written them.
 */
static void discard(const struct kvm_memory *m, uint8_t *at, uint64_t count)
{
    off_t offset = at - m->host;
    bool done = m->frozen ? is_hole(m, offset, count) && !madvise(at, count, MADV_DONTNEED)
                          : !fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                                       (off_t)count);
    if (!done)
        memset(at, 0, count);
    note_written(m, at, count);
}

static bool dma_discard_memory(void *memory, uint64_t gpa, uint64_t count)
{
    uint8_t *at = gpa % KVM_PAGE || count % KVM_PAGE ? NULL : kvm_memory_at(memory, gpa, count);
    const struct kvm_memory *m = memory;
    uint64_t step = m->frozen ? KVM_PAGE : count; /* a page frozen does not keep its neighbours */
    for (uint64_t done = 0; at && done < count; done += step)
        discard(m, at + done, step);
    return at != NULL;
}

struct dma kvm_memory_dma(struct kvm_memory *m)
{
    return (struct dma){dma_read_memory, dma_write_memory, dma_discard_memory, m};
}

/* ---- reset -------------------------------------------------------------------------------- */

/* Pages that are zero already may not have any memory of the host yet, and shall not get it. */
static void zero_pages(struct kvm_memory *m)
{
    for (uint64_t at = 0; at < m->size; at += KVM_PAGE) {
        if (is_zero(m->host + at))
            continue;
        memset(m->host + at, 0, KVM_PAGE);
        note_written(m, m->host + at, KVM_PAGE);
    }
}

/* What is punched out was written, too, for who keeps account. */
void kvm_memory_clear(struct kvm_memory *m)
{
    if (m->frozen || m->written ||
        fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)m->size))
        zero_pages(m);
}
