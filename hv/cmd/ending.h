/*
 * A signal that ends the program, taken as a wish to end in order.
 *
 * What is in memory alone (the blocks of a disk, a record) is written first; then the signal does
 * what it does. Who sends a second one does not want to wait.
 */
#ifndef VITRINE_HV_CMD_ENDING_H
#define VITRINE_HV_CMD_ENDING_H

#include <stdbool.h>

/* From now on this signal wakes `waker` (see waker.h) and is remembered; what is ignored stays so.
 * `interrupts`: a read that waits ends with EINTR. */
void ending_handle(int number, int waker, bool interrupts);
/* The signal that has come; 0: none. */
int ending_signal(void);
/* All is written: does what the signal does, if there was one. */
void ending_finish(void);

#endif
