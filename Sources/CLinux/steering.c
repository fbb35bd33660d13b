#include "CLinux.h"
#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#define NETWORK(offset) ((uint32_t)(SKF_NET_OFF + (offset)))

uint32_t clinux_steered_index(uint32_t address, uint16_t port, uint32_t count)
{
    return (((address + port * CLINUX_STEER_PORT) * CLINUX_STEER_MIX) >> 16) % count;
}

// The same in the kernel: source address and port, from the network header on.
int clinux_udp_steer(int fd, uint32_t count)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NETWORK(0)),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 6),
        // IPv4: the port lies behind a header of variable length.
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, NETWORK(0)),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, NETWORK(0)),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, CLINUX_STEER_PORT),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NETWORK(12)),
        BPF_JUMP(BPF_JMP | BPF_JA, 4, 0, 0),
        // IPv6: the last four bytes of the address, and no extension headers.
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, NETWORK(40)),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, CLINUX_STEER_PORT),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NETWORK(20)),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, CLINUX_STEER_MIX),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0)
        return -errno;
    return 0;
}
