/*
 * A fence: a small file that decides which of several programs runs a guest.
 *
 * Two programs that protect a guest (hv/protect.h) and can no longer hear each other cannot find
 * out who of them is alive. So they do not ask each other but a third: a file on storage that both
 * can reach, beside the guest's disk. It holds one line,
 *
 *     vitrine fence GENERATION OWNER        20 decimal digits, 16 hexadecimal ones
 *
 * A generation is one program's turn. Whoever wants the next turn has to claim it: compare the line
 * with the one that it knows, and write the next number and a random owner in its place, as one
 * step under a lock. Of two that know the same line one succeeds; the other one finds another line
 * and is *fenced*: it must not run the guest, and must not touch its disk.
 *
 * A claim alone would not do: a program may find its generation current, be stopped for a minute,
 * and then write to the disk that is another's by now. So whoever writes to the disk holds the lock
 * meanwhile (fence_enter), and nobody can claim in between. A program that is stopped right there
 * keeps everybody out: late, but never two.
 *
 * The locks are open file description locks (fcntl(2), F_OFD_SETLK), which the kernel drops when a
 * program dies: byte 0 is the lock of a step; byte 64 + GENERATION is held as long as the program
 * of that generation lives, so that nobody starts the guest anew while it runs. Network file
 * systems pass them on (NFSv4, CIFS); one that does not is refused where it says so. The line is
 * one write inside of a sector, followed by fsync(); the folder of a file that has no line yet is
 * flushed before the first, so that a crash of the host does not lose the file with its turns.
 *
 * Functions return 0 or -errno: -ESTALE: somebody else's turn has come. -ETIMEDOUT: the lock is
 * held by somebody. -EINVAL: the file is no fence. -EBUSY: the guest runs under this fence already.
 */
#ifndef VITRINE_HV_FENCE_H
#define VITRINE_HV_FENCE_H

#include <stdint.h>

struct fence {
    int fd; /* < 0: there is none */
    uint64_t generation, owner;
};

/* Opens the file, which is made, durably, if it is missing; nothing is claimed. */
int fence_open(struct fence *fence, const char *path);
/* Drops all locks. What was claimed stays claimed. Nothing, if there is no fence. */
void fence_close(struct fence *fence);

/* The turn after the file's, whatever that is, for a guest that begins: -EBUSY while one runs. */
int fence_begin(struct fence *fence, int patience_ms);
/* Does the file say just this? 0 or -ESTALE. Then this is the turn that fence_claim() follows. */
int fence_know(struct fence *fence, uint64_t generation, uint64_t owner, int patience_ms);
/* The turn after the one that this fence knows. */
int fence_claim(struct fence *fence, int patience_ms);

/* Our turn, and nobody can end it before fence_leave(). After an error there is nothing to leave.
 */
int fence_enter(struct fence *fence, int patience_ms);
void fence_leave(struct fence *fence);

#endif
