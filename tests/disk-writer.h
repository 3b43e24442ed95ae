/* A guest of a few instructions that writes its count (in s0) to sector count % 64 of its disk; for
 * ever. */
#ifndef VITRINE_TESTS_DISK_WRITER_H
#define VITRINE_TESTS_DISK_WRITER_H

/* Writes the image to a new file, whose name goes to `path`. */
void guest_disk_writer(char path[64]);

/* The same, but the sector is the first one of cluster (64 KiB) count % FLUSHER_CLUSTERS, and after
 * each FLUSHER_WRITES writes it flushes, and counts down from FLUSHER_PAUSE * 4096: a run is to do
 * something else but wait for the host's disk. */
enum { FLUSHER_CLUSTERS = 32, FLUSHER_WRITES = 16, FLUSHER_PAUSE = 5 };
void guest_disk_flusher(char path[64]);

#endif
