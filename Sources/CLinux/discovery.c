#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { INTERFACES_MAX = 64, ANSWER_BYTES = 4096 };

// Services

int clinux_services_read(const uint8_t *answer, unsigned length, clinux_service *out, unsigned count)
{
    ns_msg message;
    if (ns_initparse(answer, (int)length, &message) < 0)
        return -EBADMSG;
    unsigned found = 0;
    for (unsigned i = 0; i < ns_msg_count(message, ns_s_an) && found < count; i++) {
        ns_rr record;
        if (ns_parserr(&message, ns_s_an, (int)i, &record) < 0)
            return -EBADMSG;
        // Priority, weight and port, 16 bits each, and then the host.
        if (ns_rr_type(record) != ns_t_srv || ns_rr_rdlen(record) < 7)
            continue;
        const uint8_t *data = ns_rr_rdata(record);
        clinux_service *service = &out[found];
        if (ns_name_uncompress(answer, answer + length, data + 6, service->host,
                               sizeof(service->host)) < 0)
            return -EBADMSG;
        service->port = (uint16_t)(data[4] << 8 | data[5]);
        // A lone dot means that the domain does not offer the service (RFC 2782).
        if (service->host[0] != 0 && strcmp(service->host, ".") != 0)
            found++;
    }
    return (int)found;
}

int clinux_services_resolve(const char *name, clinux_service *out, unsigned count)
{
    uint8_t answer[ANSWER_BYTES];
    struct __res_state state;
    memset(&state, 0, sizeof(state));
    if (res_ninit(&state) < 0)
        return -ENOENT;
    int length = res_nquery(&state, name, ns_c_in, ns_t_srv, answer, sizeof(answer));
    res_nclose(&state);
    if (length < 0)
        return -ENOENT;
    unsigned size = (unsigned)length < sizeof(answer) ? (unsigned)length : sizeof(answer);
    return clinux_services_read(answer, size, out, count);
}

// A multicast group

// Of this host alone, or of all its links.
static unsigned ipv4_interfaces(struct in_addr *out, bool is_loopback)
{
    clinux_interface all[INTERFACES_MAX];
    int count = clinux_interfaces(all, INTERFACES_MAX);
    unsigned found = 0;
    for (int i = 0; i < count; i++)
        if (clinux_is_ipv4(all[i].address) && (all[i].address.low >> 24 & 0xFF) == 127 == is_loopback)
            out[found++].s_addr = htonl((uint32_t)all[i].address.low);
    return found;
}

// Interfaces come and go; one that is in the group already says EADDRINUSE.
static void join(int fd, const char *group, bool is_loopback)
{
    struct in_addr interfaces[INTERFACES_MAX];
    unsigned count = ipv4_interfaces(interfaces, is_loopback);
    for (unsigned i = 0; i < count; i++) {
        struct ip_mreq membership = {.imr_interface = interfaces[i]};
        if (inet_pton(AF_INET, group, &membership.imr_multiaddr) == 1)
            (void)setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof(membership));
    }
}

int clinux_group_open(const char *group, uint16_t port, bool is_loopback)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int yes = 1;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    // Bound to the group, so that nothing else comes in.
    if (inet_pton(AF_INET, group, &name.sin_addr) != 1 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
        bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    join(fd, group, is_loopback);
    return fd;
}

int clinux_group_send(int fd, const char *group, uint16_t port, bool is_loopback, const void *bytes,
                      unsigned count)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, group, &name.sin_addr) != 1)
        return -EINVAL;
    join(fd, group, is_loopback);
    struct in_addr interfaces[INTERFACES_MAX];
    unsigned interface_count = ipv4_interfaces(interfaces, is_loopback);
    int sent = 0;
    for (unsigned i = 0; i < interface_count; i++) {
        if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interfaces[i], sizeof(interfaces[i])) < 0)
            continue;
        if (sendto(fd, bytes, count, 0, (struct sockaddr *)&name, sizeof(name)) == (ssize_t)count)
            sent++;
    }
    return sent;
}

int clinux_group_receive(int fd, void *bytes, unsigned count, clinux_address *from)
{
    struct sockaddr_in name;
    socklen_t name_length = sizeof(name);
    ssize_t length =
        recvfrom(fd, bytes, count, 0, (struct sockaddr *)&name, &name_length);
    if (length < 0)
        return -errno;
    *from = (clinux_address){.low = 0xFFFFull << 32 | ntohl(name.sin_addr.s_addr)};
    return (int)length;
}

int64_t clinux_file_system(const char *path)
{
    struct statfs status;
    if (statfs(path, &status) < 0)
        return -errno;
    return (int64_t)(uint32_t)status.f_type;
}
