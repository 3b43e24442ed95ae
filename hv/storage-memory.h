/* Bytes in memory as a storage (storage.h): for an image that is made there before it becomes a
 * file, or that has been read from one. */
#ifndef VITRINE_HV_STORAGE_MEMORY_H
#define VITRINE_HV_STORAGE_MEMORY_H

#include "cpu/state.h"
#include "hv/storage.h"

/* The buffer stays the caller's and must outlive the storage, which grows it when it is written
 * behind its end. NULL: no memory. */
struct storage *storage_memory_new(struct state_buffer *bytes);

#endif
