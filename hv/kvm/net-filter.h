/*
 * What a guest's frames may reach, and which name server 10.0.2.3 stands for.
 *
 * A network passes each frame of the guest through net_filter_out() on its way to libslirp, and
 * each for the guest through net_filter_in(): see net-filter.c for what is refused and why. Both
 * take any bytes at all. A filter belongs to one thread.
 */
#ifndef VITRINE_KVM_NET_FILTER_H
#define VITRINE_KVM_NET_FILTER_H

#include "hv/kvm/net.h"

/* All zeros: a filter without name server. */
struct net_filter {
    uint32_t nameserver; /* 0: none, questions to 10.0.2.3 are refused */
    bool full;           /* no more sockets: refuse what could open one */
    /* A bit for each port of the guest from which it last asked 10.0.2.3, not the name server by
     * its own address: answers are to come from there. TCP, UDP. */
    uint8_t asked[2][65536 / 8];
};

/* A frame from the guest, of NET_FRAME_MIN to NET_FRAME_MAX bytes: may it be passed on? Questions
 * to 10.0.2.3 are rewritten for the name server, with their checksums. */
bool net_filter_out(struct net_filter *filter, uint8_t *frame, size_t size);
/* A frame to the guest, of such a size: the name server's answers are rewritten to come from
 * 10.0.2.3. */
void net_filter_in(const struct net_filter *filter, uint8_t *frame, size_t size);

#endif
