#define _GNU_SOURCE
#include "addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>

int clinux_address_read(const char *text, clinux_address *out)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        *out = from_ipv4(v4);
        return 0;
    }
    char bare[INET6_ADDRSTRLEN];
    const char *zone = strchr(text, '%');
    size_t length = zone ? (size_t)(zone - text) : strlen(text);
    if (length >= sizeof(bare))
        return -EINVAL;
    memcpy(bare, text, length);
    bare[length] = 0;
    struct in6_addr v6;
    if (inet_pton(AF_INET6, bare, &v6) != 1)
        return -EINVAL;
    uint32_t scope = zone ? if_nametoindex(zone + 1) : 0;
    if (zone && scope == 0)
        return -EINVAL;
    *out = from_ipv6(&v6, scope);
    return 0;
}

int clinux_addresses_resolve(const char *name, clinux_address *out, unsigned count)
{
    const int families[] = {AF_INET, AF_INET6};
    unsigned known = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct addrinfo hints = {.ai_family = families[i], .ai_socktype = SOCK_DGRAM}, *found;
        if (getaddrinfo(name, NULL, &hints, &found) != 0)
            continue;
        for (struct addrinfo *each = found; each && known < count; each = each->ai_next) {
            if (families[i] == AF_INET) {
                out[known++] = from_ipv4(((struct sockaddr_in *)each->ai_addr)->sin_addr);
            } else {
                const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)each->ai_addr;
                out[known++] = from_ipv6(&v6->sin6_addr, v6->sin6_scope_id);
            }
        }
        freeaddrinfo(found);
    }
    return known > 0 ? (int)known : -ENOENT;
}

int clinux_address_resolve(const char *name, clinux_address *out)
{
    int found = clinux_addresses_resolve(name, out, 1);
    return found < 0 ? found : 0;
}

void clinux_address_write(clinux_address address, char *out)
{
    if (clinux_is_ipv4(address)) {
        struct in_addr v4 = {.s_addr = htonl((uint32_t)address.low)};
        inet_ntop(AF_INET, &v4, out, 64);
        return;
    }
    uint32_t scope;
    struct in6_addr v6 = to_ipv6(address, &scope);
    inet_ntop(AF_INET6, &v6, out, INET6_ADDRSTRLEN);
    char name[IF_NAMESIZE];
    if (scope && if_indextoname(scope, name)) {
        size_t length = strlen(out);
        snprintf(out + length, 64 - length, "%%%s", name);
    }
}
