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

enum { ANSWER_BYTES = 4096 };

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

int clinux_group_open(clinux_address group, uint16_t port)
{
    bool is_ipv6 = !clinux_is_ipv4(group);
    int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int yes = 1, no = 0;
    // Bound to the group, and deaf to links that other processes alone have joined it on.
    clinux_message name;
    clinux_message_prepare(&name, NULL, 0, group, port, is_ipv6, NULL, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
        setsockopt(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                   is_ipv6 ? IPV6_MULTICAST_ALL : IP_MULTICAST_ALL, &no, sizeof(no)) < 0 ||
        bind(fd, name.header.msg_name, name.header.msg_namelen) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static int change_membership(int fd, clinux_address group, uint32_t index, bool joins)
{
    struct group_req request = {.gr_interface = index};
    bool is_ipv6 = !clinux_is_ipv4(group);
    clinux_message name;
    clinux_message_prepare(&name, NULL, 0, group, 0, is_ipv6, NULL, 0);
    memcpy(&request.gr_group, name.header.msg_name, name.header.msg_namelen);
    return setsockopt(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP,
                      joins ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &request, sizeof(request)) < 0
               ? -errno
               : 0;
}

int clinux_group_join(int fd, clinux_address group, uint32_t index)
{
    int result = change_membership(fd, group, index, true);
    return result == -EADDRINUSE ? 0 : result;
}

int clinux_group_leave(int fd, clinux_address group, uint32_t index)
{
    return change_membership(fd, group, index, false);
}

int clinux_group_send(int fd, clinux_address group, uint16_t port, const clinux_interface *from,
                      const void *bytes, unsigned count)
{
    bool is_ipv6 = !clinux_is_ipv4(group);
    struct ip_mreqn link = {.imr_ifindex = (int)from->index};
    int result = is_ipv6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &link.imr_ifindex,
                                      sizeof(link.imr_ifindex))
                         : setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &link, sizeof(link));
    if (result < 0)
        return -errno;
    clinux_part part = {.base = (void *)bytes, .byte_count = count};
    clinux_message message;
    clinux_message_prepare(&message, &part, 1, group, port, is_ipv6, &from->address, 0);
    return sendmsg(fd, &message.header, 0) < 0 ? -errno : 0;
}

int clinux_group_receive(int fd, void *bytes, unsigned count, clinux_address *from)
{
    struct sockaddr_in6 name;
    socklen_t name_length = sizeof(name);
    ssize_t length = recvfrom(fd, bytes, count, 0, (struct sockaddr *)&name, &name_length);
    if (length < 0)
        return -errno;
    clinux_origin origin;
    int result = clinux_origin_parse(&name, name_length, NULL, 0, &origin);
    *from = origin.peer;
    return result < 0 ? result : (int)length;
}

int64_t clinux_file_system(const char *path)
{
    struct statfs status;
    if (statfs(path, &status) < 0)
        return -errno;
    return (int64_t)(uint32_t)status.f_type;
}
