#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <sys/uio.h>
#include <stddef.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static bool is_link_local(clinux_address address) { return address.high >> 54 == 0xFE80 >> 6; }

static clinux_address from_ipv4(struct in_addr address)
{
    return (clinux_address){0, 0xFFFF00000000u | ntohl(address.s_addr)};
}

static clinux_address from_ipv6(const struct in6_addr *address, uint32_t scope)
{
    uint64_t halves[2];
    memcpy(halves, address, sizeof(halves));
    clinux_address out = {be64toh(halves[0]), be64toh(halves[1])};
    if (is_link_local(out))
        out.high = (out.high & ~0xFFFFFFFFull) | scope;
    return out;
}

static struct in6_addr to_ipv6(clinux_address address, uint32_t *scope)
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

static unsigned char *put_control(unsigned char *at, int level, int type, const void *data,
                                  size_t length)
{
    struct cmsghdr *control = (struct cmsghdr *)at;
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(control), data, length);
    return at + CMSG_SPACE(length);
}

static unsigned char *put_local(unsigned char *at, clinux_address local, bool is_ipv6)
{
    if (!is_ipv6) {
        struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl((uint32_t)local.low)};
        return put_control(at, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    }
    uint32_t scope;
    struct in6_pktinfo info = {.ipi6_addr = to_ipv6(local, &scope)};
    info.ipi6_ifindex = scope;
    return put_control(at, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

_Static_assert(sizeof(clinux_part) == sizeof(struct iovec) && offsetof(clinux_part, base) == offsetof(struct iovec, iov_base) &&
                   offsetof(clinux_part, byte_count) == offsetof(struct iovec, iov_len),
               "clinux_part is struct iovec under another name");

void clinux_message_prepare(clinux_message *message, clinux_part *parts, unsigned part_count,
                            clinux_address peer, uint16_t port, bool is_ipv6,
                            const clinux_address *local, uint16_t segment_bytes)
{
    struct msghdr *header = &message->header;
    if (is_ipv6) {
        struct sockaddr_in6 *name = &message->name.v6;
        memset(name, 0, sizeof(*name));
        name->sin6_family = AF_INET6;
        name->sin6_port = htons(port);
        name->sin6_addr = to_ipv6(peer, &name->sin6_scope_id);
        header->msg_namelen = sizeof(*name);
    } else {
        struct sockaddr_in *name = &message->name.v4;
        memset(name, 0, sizeof(*name));
        name->sin_family = AF_INET;
        name->sin_port = htons(port);
        name->sin_addr.s_addr = htonl((uint32_t)peer.low);
        header->msg_namelen = sizeof(*name);
    }
    unsigned char *end = message->control;
    if (local)
        end = put_local(end, *local, is_ipv6);
    if (segment_bytes)
        end = put_control(end, SOL_UDP, UDP_SEGMENT, &segment_bytes, sizeof(segment_bytes));
    header->msg_name = &message->name;
    header->msg_iov = (struct iovec *)parts;
    header->msg_iovlen = part_count;
    header->msg_control = end == message->control ? NULL : message->control;
    header->msg_controllen = (size_t)(end - message->control);
    header->msg_flags = 0;
}

static void read_control(const struct cmsghdr *control, clinux_origin *out)
{
    const void *data = CMSG_DATA(control);
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, data, sizeof(info));
        // For a broadcast this is the interface's own address: the one to answer from.
        out->local = from_ipv4(info.ipi_spec_dst);
        out->was_crowd = info.ipi_spec_dst.s_addr != info.ipi_addr.s_addr;
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, data, sizeof(info));
        // For IPv4 on such a socket the message of its own family follows and says more.
        out->was_crowd = IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
        if (!out->was_crowd)
            out->local = from_ipv6(&info.ipi6_addr, info.ipi6_ifindex);
    } else if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
        int segment;
        memcpy(&segment, data, sizeof(segment));
        out->segment_bytes = (uint16_t)segment;
    }
}

int clinux_origin_parse(const void *name, uint32_t name_length, const void *control,
                        uint32_t control_length, clinux_origin *out)
{
    memset(out, 0, sizeof(*out));
    const struct sockaddr *family = name;
    if (name_length >= sizeof(struct sockaddr_in) && family->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = name;
        out->peer = from_ipv4(v4->sin_addr);
        out->port = ntohs(v4->sin_port);
    } else if (name_length >= sizeof(struct sockaddr_in6) && family->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = name;
        out->peer = from_ipv6(&v6->sin6_addr, v6->sin6_scope_id);
        out->port = ntohs(v6->sin6_port);
    } else {
        return -EINVAL;
    }
    struct msghdr walk = {.msg_control = (void *)control, .msg_controllen = control_length};
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&walk); each; each = CMSG_NXTHDR(&walk, each))
        read_control(each, out);
    return 0;
}

static bool is_refusal(struct msghdr *header)
{
    for (struct cmsghdr *each = CMSG_FIRSTHDR(header); each; each = CMSG_NXTHDR(header, each)) {
        bool is_ipv4 = each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_RECVERR;
        bool is_ipv6 = each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_RECVERR;
        if (!is_ipv4 && !is_ipv6)
            continue;
        struct sock_extended_err error;
        memcpy(&error, CMSG_DATA(each), sizeof(error));
        return error.ee_errno == ECONNREFUSED && error.ee_origin != SO_EE_ORIGIN_LOCAL;
    }
    return false;
}

int clinux_udp_take_refusal(int fd, clinux_origin *out)
{
    for (;;) {
        struct sockaddr_in6 name;
        unsigned char control[512];
        struct msghdr header = {.msg_name = &name,
                                .msg_namelen = sizeof(name),
                                .msg_control = control,
                                .msg_controllen = sizeof(control)};
        if (recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return 0;
        if (is_refusal(&header) && clinux_origin_parse(&name, header.msg_namelen, NULL, 0, out) == 0)
            return 1;
    }
}

static uint32_t mtu_of(int fd, const char *interface)
{
    struct ifreq request = {0};
    strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
    return ioctl(fd, SIOCGIFMTU, &request) < 0 ? 0 : (uint32_t)request.ifr_mtu;
}

int clinux_interfaces(clinux_interface *out, unsigned count)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return -errno;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unsigned found = 0;
    for (struct ifaddrs *each = all; each && found < count; each = each->ifa_next) {
        if (!each->ifa_addr)
            continue;
        if (each->ifa_addr->sa_family == AF_INET) {
            out[found].address = from_ipv4(((struct sockaddr_in *)each->ifa_addr)->sin_addr);
        } else if (each->ifa_addr->sa_family == AF_INET6) {
            const struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)each->ifa_addr;
            out[found].address = from_ipv6(&v6->sin6_addr, v6->sin6_scope_id);
        } else {
            continue;
        }
        out[found].index = if_nametoindex(each->ifa_name);
        out[found++].mtu = fd < 0 ? 0 : mtu_of(fd, each->ifa_name);
    }
    freeifaddrs(all);
    if (fd >= 0)
        close(fd);
    return (int)found;
}

int clinux_path_mtu(clinux_address address)
{
    bool is_ipv6 = !clinux_is_ipv4(address);
    int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), mtu = 0;
    if (fd < 0)
        return -errno;
    clinux_message message;
    clinux_message_prepare(&message, NULL, 0, address, 69, is_ipv6, NULL, 0);
    socklen_t length = sizeof(mtu);
    int result = connect(fd, message.header.msg_name, message.header.msg_namelen);
    if (result == 0)
        result = getsockopt(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, is_ipv6 ? IPV6_MTU : IP_MTU,
                            &mtu, &length);
    result = result < 0 ? -errno : mtu;
    close(fd);
    return result;
}

int clinux_mtu_open(bool is_ipv6)
{
    int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int clinux_mtu_to(int fd, clinux_address address)
{
    bool is_ipv6 = !clinux_is_ipv4(address);
    int mtu = 0;
    socklen_t length = sizeof(mtu);
    clinux_message message;
    clinux_message_prepare(&message, NULL, 0, address, 69, is_ipv6, NULL, 0);
    int result = connect(fd, message.header.msg_name, message.header.msg_namelen);
    if (result == 0)
        result = getsockopt(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, is_ipv6 ? IPV6_MTU : IP_MTU, &mtu,
                            &length);
    result = result < 0 ? -errno : mtu;
    // Or the next question would be asked from the address that this one was.
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    (void)connect(fd, &none, sizeof(none));
    return result;
}

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
