/* A guest of a few instructions that writes its count (in s0) to sector count % 64 of its disk; for
 * ever. */
#ifndef VITRINE_TESTS_DISK_WRITER_H
#define VITRINE_TESTS_DISK_WRITER_H

/* Writes the image to a new file, whose name goes to `path`. */
void guest_disk_writer(char path[64]);

#endif
