#define _GNU_SOURCE
#include "addresses.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static void set_int(int fd, int level, int option, int value, int *result)
{
    if (*result == 0 && setsockopt(fd, level, option, &value, sizeof(value)) < 0)
        *result = -errno;
}

// Buffers larger than the system's limit need a privilege; what is granted without it still works.
static void size_buffers(int fd, int bytes)
{
    int forced = 0, asked = 0;
    set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes, &forced);
    if (forced < 0)
        set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes, &asked);
    forced = asked = 0;
    set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes, &forced);
    if (forced < 0)
        set_int(fd, SOL_SOCKET, SO_SNDBUF, bytes, &asked);
}

static int bind_to(int fd, const clinux_udp_options *options)
{
    if (!options->is_ipv6) {
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(options->port)};
        name.sin_addr.s_addr =
            clinux_is_ipv4(options->address) ? htonl((uint32_t)options->address.low) : 0;
        return bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
    }
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = htons(options->port)};
    name.sin6_addr = to_ipv6(options->address, &name.sin6_scope_id);
    return bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
}

static void set_fragments(int fd, bool is_allowed)
{
    int ignored = 0;
    int ipv4 = is_allowed ? IP_PMTUDISC_WANT : IP_PMTUDISC_DO;
    int ipv6 = is_allowed ? IPV6_PMTUDISC_WANT : IPV6_PMTUDISC_DO;
    set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, ipv4, &ignored);
    set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, ipv6, &ignored);
}

void clinux_udp_allow_fragments(int fd) { set_fragments(fd, true); }

int clinux_udp_send_cut(int fd, const struct msghdr *header, bool is_ipv6)
{
    int ignored = 0;
    // Each by itself: the socket is that of other transfers too, whose paths are well.
    set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, &ignored);
    if (is_ipv6) {
        ignored = 0;
        set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, &ignored);
        set_int(fd, IPPROTO_IPV6, IPV6_MTU, 1280, &ignored);
    }
    int result = sendmsg(fd, header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
    if (is_ipv6) {
        ignored = 0;
        set_int(fd, IPPROTO_IPV6, IPV6_MTU, 0, &ignored);
    }
    set_fragments(fd, false);
    return result;
}

int clinux_udp_open(const clinux_udp_options *options)
{
    int family = options->is_ipv6 ? AF_INET6 : AF_INET;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), result = 0;
    if (fd < 0)
        return -errno;
    if (options->is_ipv6) {
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !options->is_dual, &result);
        if (options->wants_local)
            set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, &result);
        // Only this tells a broadcast from the address that it was answered at.
        if (options->wants_local && options->is_dual)
            set_int(fd, IPPROTO_IP, IP_PKTINFO, 1, &result);
    } else if (options->wants_local) {
        set_int(fd, IPPROTO_IP, IP_PKTINFO, 1, &result);
    }
    if (options->reports_errors)
        set_int(fd, options->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                options->is_ipv6 ? IPV6_RECVERR : IP_RECVERR, 1, &result);
    if (options->binds_freely) {
        int ignored = 0; // then the address has to be here
        set_int(fd, IPPROTO_IP, IP_FREEBIND, 1, &ignored);
        if (options->is_ipv6)
            set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1, &ignored);
    }
    // A free port that the kernel chooses may otherwise be one that such a socket of another server
    // has: both would get the datagrams of both.
    bool chooses_port = options->port == 0;
    if (options->reuses_port && !chooses_port)
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1, &result);
    if (options->interface_index > 0)
        set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)options->interface_index, &result);
    if (options->coalesces) {
        int ignored = 0; // an older kernel delivers one by one
        set_int(fd, SOL_UDP, UDP_GRO, 1, &ignored);
    }
    // Either way DF is set on the wire. But a packet that can never be cut needs no number of its
    // own, and drawing one is an atomic operation and a hash for each.
    if (options->never_fragments)
        set_fragments(fd, false);
    size_buffers(fd, options->buffer_bytes);
    if (result == 0)
        result = bind_to(fd, options);
    if (result == 0 && options->reuses_port && chooses_port)
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1, &result);
    if (result < 0) {
        close(fd);
        return result;
    }
    return fd;
}

void clinux_udp_stop_hearing(int fd)
{
    struct sockaddr_in6 name;
    socklen_t length = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name, &length) < 0)
        return;
    // A connected socket receives from its peer alone, and nothing comes from port 1 of this host.
    if (name.sin6_family == AF_INET6) {
        struct sockaddr_in6 nowhere = {
            .sin6_family = AF_INET6, .sin6_port = htons(1), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        if (connect(fd, (struct sockaddr *)&nowhere, sizeof(nowhere)) == 0)
            return;
    }
    struct sockaddr_in nowhere = {.sin_family = AF_INET,
                                  .sin_port = htons(1),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)connect(fd, (struct sockaddr *)&nowhere, sizeof(nowhere));
}

bool clinux_udp_has_input(int fd)
{
    int count = 0;
    return ioctl(fd, FIONREAD, &count) == 0 && count > 0;
}

static int get_int(int fd, int level, int option)
{
    int value = 0;
    socklen_t length = sizeof(value);
    return getsockopt(fd, level, option, &value, &length) < 0 ? -errno : value;
}

int clinux_udp_adopt(int fd, int buffer_bytes, clinux_udp_options *out)
{
    struct sockaddr_in6 name;
    socklen_t length = sizeof(name);
    if (get_int(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM
        || getsockname(fd, (struct sockaddr *)&name, &length) < 0 || name.sin6_port == 0)
        return -EINVAL;
    // It would hear one peer alone.
    struct sockaddr_in6 peer;
    socklen_t peer_length = sizeof(peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_length) == 0)
        return -EINVAL;
    *out = (clinux_udp_options){.port = ntohs(name.sin6_port)};
    if (name.sin6_family == AF_INET6) {
        out->is_ipv6 = true;
        out->address = from_ipv6(&name.sin6_addr, name.sin6_scope_id);
        out->wants_local = out->address.high == 0 && out->address.low == 0;
        out->is_dual = out->wants_local && get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    } else if (name.sin6_family == AF_INET) {
        struct in_addr address = ((struct sockaddr_in *)&name)->sin_addr;
        out->wants_local = address.s_addr == htonl(INADDR_ANY);
        if (!out->wants_local)
            out->address = from_ipv4(address);
    } else {
        return -EINVAL;
    }
    int result = 0;
    if (out->wants_local && out->is_ipv6)
        set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, &result);
    if (out->wants_local && (out->is_dual || !out->is_ipv6))
        set_int(fd, IPPROTO_IP, IP_PKTINFO, 1, &result);
    set_fragments(fd, false);
    size_buffers(fd, buffer_bytes);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return result;
}

int clinux_duplicate(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? -errno : copy;
}

int clinux_udp_port(int fd)
{
    struct sockaddr_in6 name;
    socklen_t length = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name, &length) < 0)
        return -errno;
    return ntohs(name.sin6_port); // at the same offset in sockaddr_in
}
