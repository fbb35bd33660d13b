#pragma once

// Addresses as the kernel's structures have them; in a header, so that the packet path inlines
// them.
#include "CLinux.h"

#include <endian.h>
#include <netinet/in.h>
#include <string.h>

static inline bool is_link_local(clinux_address address) { return address.high >> 54 == 0xFE80 >> 6; }

static inline clinux_address from_ipv4(struct in_addr address)
{
    return (clinux_address){0, 0xFFFF00000000u | ntohl(address.s_addr)};
}

static inline clinux_address from_ipv6(const struct in6_addr *address, uint32_t scope)
{
    uint64_t halves[2];
    memcpy(halves, address, sizeof(halves));
    clinux_address out = {be64toh(halves[0]), be64toh(halves[1])};
    if (is_link_local(out))
        out.high = (out.high & ~0xFFFFFFFFull) | scope;
    return out;
}

static inline struct in6_addr to_ipv6(clinux_address address, uint32_t *scope)
{
    *scope = 0;
    if (is_link_local(address)) {
        *scope = (uint32_t)address.high;
        address.high &= ~0xFFFFFFFFull;
    }
    uint64_t halves[2] = {htobe64(address.high), htobe64(address.low)};
    struct in6_addr out;
    memcpy(&out, halves, sizeof(out));
    return out;
}
