#define _GNU_SOURCE
#include "addresses.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

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
