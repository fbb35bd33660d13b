#define _GNU_SOURCE
#include "addresses.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <linux/errqueue.h>
#include <netinet/udp.h>
#include <sys/uio.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

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

_Static_assert(sizeof(clinux_part) == sizeof(struct iovec)
                   && offsetof(clinux_part, base) == offsetof(struct iovec, iov_base)
                   && offsetof(clinux_part, byte_count) == offsetof(struct iovec, iov_len),
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
