/* Inside of the network: net.c (thread, queues), net-filter.c (what may pass). */
#ifndef VITRINE_KVM_NET_PRIV_H
#define VITRINE_KVM_NET_PRIV_H

#include "hv/kvm/net.h"

struct net_filter {
    uint32_t nameserver; /* 0: none */
    bool full;           /* no more sockets: refuse what could open one */
    /* A bit for each port of the guest from which it last asked 10.0.2.3, not the name server by
     * its own address: answers are to come from there. TCP, UDP. */
    uint8_t asked[2][65536 / 8];
};

/* A frame from the guest: may it be passed to libslirp? Questions to 10.0.2.3 are rewritten for
 * the name server. `size` is NET_FRAME_MIN to NET_FRAME_MAX. */
bool net_filter_out(struct net_filter *filter, uint8_t *frame, size_t size);
/* A frame to the guest: the name server's answers are rewritten to come from 10.0.2.3. */
void net_filter_in(const struct net_filter *filter, uint8_t *frame, size_t size);

#endif
