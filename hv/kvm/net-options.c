/* What --net says. See net.h. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/kvm/net.h"

enum { WORD = 128 };
#define LOOPBACK 0x7f000001u

uint32_t net_nameserver(const char *path)
{
    char line[256], word[64];
    struct in_addr address;
    uint32_t found = 0;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        if (sscanf(line, "nameserver %63s", word) == 1 && inet_pton(AF_INET, word, &address) == 1)
            found = ntohl(address.s_addr);
    if (file)
        fclose(file);
    return found;
}

void net_config_init(struct net_config *config)
{
    *config = (struct net_config){.nameserver = net_nameserver("/etc/resolv.conf")};
}

/* ---- forwarded ports ------------------------------------------------------------------------ */

/* "[ADDRESS]:PORT" up to the end of `text`. */
static bool read_end(char *text, uint32_t *address, uint16_t *port)
{
    char *colon = strchr(text, ':'), *end;
    struct in_addr parsed;
    if (!colon)
        return false;
    *colon = 0;
    if (*text && inet_pton(AF_INET, text, &parsed) != 1)
        return false;
    if (*text)
        *address = ntohl(parsed.s_addr);
    unsigned long number = strtoul(colon + 1, &end, 10);
    *port = (uint16_t)number;
    return colon[1] >= '0' && colon[1] <= '9' && !*end && number >= 1 && number <= UINT16_MAX;
}

/* "tcp:[ADDRESS]:PORT-[ADDRESS]:PORT", with the protocol taken off. */
static bool read_forward(char *text, struct net_forward *forward)
{
    char *dash = strchr(text, '-');
    forward->host_address = LOOPBACK;
    forward->guest_address = NET_GUEST;
    if (!dash)
        return false;
    *dash = 0;
    return read_end(text, &forward->host_address, &forward->host_port) &&
           read_end(dash + 1, &forward->guest_address, &forward->guest_port) &&
           (forward->guest_address & NET_MASK) == NET_PREFIX;
}

static bool add_forward(struct net_config *config, char *text)
{
    if (config->forwards == NET_FORWARDS)
        return false;
    struct net_forward *forward = &config->forward[config->forwards++];
    forward->udp = !strncmp(text, "udp:", 4);
    return (forward->udp || !strncmp(text, "tcp:", 4)) && read_forward(text + 4, forward);
}

/* libslirp treats an answer by UDP like any datagram of the guest's, although somebody has asked
 * for it: it goes where datagrams may go. (TCP's belong to a connection.) */
static bool can_answer(const struct net_config *config)
{
    for (unsigned i = 0; i < config->forwards; i++) {
        const struct net_forward *f = &config->forward[i];
        bool local = f->host_address >> 24 == LOOPBACK >> 24;
        if (f->udp && (config->restricted || (local && !config->loopback)))
            return false;
    }
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static const char EXPECTED[] =
    "loopback, restrict, or hostfwd=tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT (at most 16 of these)";

static bool read_word(struct net_config *config, char *word)
{
    static const char FORWARD[] = "hostfwd=";
    if (!strcmp(word, "loopback"))
        config->loopback = true;
    else if (!strcmp(word, "restrict"))
        config->restricted = true;
    else
        return !strncmp(word, FORWARD, strlen(FORWARD)) &&
               add_forward(config, word + strlen(FORWARD));
    return true;
}

int net_config_parse(struct net_config *config, const char *text, char *why)
{
    size_t length = strcspn(text, ",");
    if (length != 4 || strncmp(text, "user", 4)) {
        snprintf(why, NET_WHY, "network '%.64s': user is the only kind there is", text);
        return -EINVAL;
    }
    for (text += length; *text; text += length) {
        char word[WORD] = "", copy[WORD];
        text++;
        length = strcspn(text, ",");
        memcpy(word, text, length < sizeof word ? length : 0);
        memcpy(copy, word, sizeof copy);
        if (!read_word(config, copy)) {
            snprintf(why, NET_WHY, "network option '%.*s' is not %s",
                     (int)(length < 64 ? length : 64), text, EXPECTED);
            return -EINVAL;
        }
    }
    if (can_answer(config))
        return 0;
    snprintf(why, NET_WHY,
             "hostfwd=udp from 127.0.0.1 needs loopback too, and cannot be with restrict: the "
             "guest's answers would go nowhere");
    return -EINVAL;
}
