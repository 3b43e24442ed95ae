/*
 * Frames of a guest that wait until they may leave the host: as long as it is protected, what it
 * sends goes out when the backup has the state that it came from (hv/protect.h).
 *
 * What does not fit is lost and counted, as on any Ethernet. Used by one thread at a time: under
 * the VM's `io` lock, or with its vCPUs parked.
 */
#ifndef VITRINE_KVM_NET_HOLD_H
#define VITRINE_KVM_NET_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NET_HOLD_FRAMES = 2048 };

struct net_hold;

struct net_hold *net_hold_new(void); /* NULL: no memory */
void net_hold_free(struct net_hold *hold);

/* false: it is lost. `size`: up to NET_FRAME_MAX. */
bool net_hold_put(struct net_hold *hold, const uint8_t *frame, size_t size);
/* All frames up to now belong together. */
void net_hold_mark(struct net_hold *hold);
/* Takes out those before the mark, or all of them, oldest first; each goes to `send`, if there is
 * one. */
void net_hold_pass(struct net_hold *hold, bool all,
                   void (*send)(void *context, const uint8_t *frame, size_t size), void *context);
uint64_t net_hold_lost(const struct net_hold *hold);

#endif
