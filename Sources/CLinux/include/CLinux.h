// What this package needs of Linux that Swift's Glibc module hides (anything behind _GNU_SOURCE,
// macros with arguments), and the layouts that cross the kernel boundary with every datagram.
//
// Functions return 0, a descriptor or a count, or a negated errno.
#ifndef CLINUX_H
#define CLINUX_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <stddef.h>

#include "CLinuxFiles.h"

// An address in 16 bytes, host order halves, IPv4 mapped into IPv6. A link-local one carries its
// interface index in bytes 4 to 7.
typedef struct {
    uint64_t high;
    uint64_t low;
} clinux_address;

static inline bool clinux_is_ipv4(clinux_address address)
{
    return address.high == 0 && address.low >> 32 == 0xFFFF;
}

// Sockets

typedef struct {
    clinux_address address;
    uint16_t port;
    bool is_ipv6;         // an AF_INET6 socket
    bool is_dual;         // which also takes IPv4
    bool reuses_port;     // SO_REUSEPORT: one of several on the same port
    bool wants_local;     // tells and takes the local address of each datagram
    bool coalesces;       // UDP_GRO
    bool never_fragments; // what does not fit the path is refused: EMSGSIZE
    bool binds_freely;    // IP_FREEBIND: also to an address that this host does not have yet
    bool reports_errors;  // IP_RECVERR: a receive fails where a port is unreachable
    uint32_t interface_index; // SO_BINDTOIFINDEX: by this interface alone; 0: by any
    int buffer_bytes;     // asked of SO_RCVBUF and SO_SNDBUF
} clinux_udp_options;

int clinux_udp_open(const clinux_udp_options *options);
int clinux_udp_port(int fd);
// Datagrams that do not fit the path leave in fragments from now on.
void clinux_udp_allow_fragments(int fd);
// Sends one message without DF (IPv4), or in fragments of 1280 bytes (IPv6), now.
int clinux_udp_send_cut(int fd, const struct msghdr *header, bool is_ipv6);
// No datagram is put into this socket's queue any more; those that are there can still be received,
// and it still sends.
void clinux_udp_stop_hearing(int fd);
// Whether a datagram waits in the socket's queue.
bool clinux_udp_has_input(int fd);
// Takes over a UDP socket that another process has bound: gives it the options that
// `clinux_udp_open` would, and tells where it is bound. -EINVAL: it is not a bound UDP socket,
// or it is connected.
int clinux_udp_adopt(int fd, int buffer_bytes, clinux_udp_options *out);
int clinux_duplicate(int fd);
// Among the `count` sockets that share the port of `fd`, bound in the order of their numbers, a
// unicast datagram goes to number `clinux_steered_index` from now on, and not where the kernel's
// own hash says. 0, or -errno. `address`: the IPv4 address, or the last four bytes of the IPv6 one.
int clinux_udp_steer(int fd, uint32_t count);
uint32_t clinux_steered_index(uint32_t address, uint16_t port, uint32_t count);
#define CLINUX_STEER_PORT 0x9E3779B1u
#define CLINUX_STEER_MIX 0x85EBCA6Bu
void clinux_close(int fd);

// A datagram on its way out. Everything the kernel reads while it is submitted.
typedef struct {
    struct msghdr header;
    union {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name;
    _Alignas(8) unsigned char control[72];
} clinux_message;

// One piece of a message: a struct iovec under a name that is this module's own. Which module Swift
// takes struct iovec from depends on the order in which modules are built.
typedef struct clinux_part {
    void *base;
    size_t byte_count;
} clinux_part;

// Addresses `message` to a peer through an AF_INET or AF_INET6 socket.
// `local` is the source address to use, or NULL to leave it to the socket; `segment_bytes` cuts the
// payload into datagrams of that size (UDP_SEGMENT), 0 sends one.
void clinux_message_prepare(clinux_message *message, clinux_part *parts, unsigned part_count,
                            clinux_address peer, uint16_t port, bool is_ipv6,
                            const clinux_address *local, uint16_t segment_bytes);

enum {
    CLINUX_NAME_BYTES = sizeof(struct sockaddr_in6),
    // Room for a packet info of either family and one UDP_GRO message.
    CLINUX_CONTROL_BYTES = 96,
};

// Reads a received name and control data. Returns -EINVAL for a family that is not IP.
typedef struct {
    clinux_address peer;
    clinux_address local; // where a reply comes from; unspecified when the socket does not tell
    uint16_t port;
    uint16_t segment_bytes; // of UDP_GRO; 0 when there is one datagram
    bool was_crowd;         // sent to a multicast or broadcast address
} clinux_origin;

int clinux_origin_parse(const void *name, uint32_t name_length, const void *control,
                        uint32_t control_length, clinux_origin *out);

// Takes the next ICMP port unreachable from the error queue of a socket that reports errors: `out`
// is where the datagram was sent. Other errors are discarded. Returns 1, or 0 if there is none
// left.
int clinux_udp_take_refusal(int fd, clinux_origin *out);

typedef struct {
    clinux_address address;
    uint32_t mtu;
    uint32_t index; // of the link
} clinux_interface;

// The addresses of this host with their links. Returns how many, at most `count`.
int clinux_interfaces(clinux_interface *out, unsigned count);
// The largest IP packet that passes to `address` in one piece, as the kernel knows. Sends nothing.
// Negative errno if there is no route.
int clinux_path_mtu(clinux_address address);

// The same for many questions through one socket of the address's family (`clinux_mtu_open`). Three
// system calls.
int clinux_mtu_open(bool is_ipv6);
int clinux_mtu_to(int fd, clinux_address address);

// Reads a numeric address, with an optional %interface. Returns 0 or -EINVAL.
int clinux_address_read(const char *text, clinux_address *out);
// The first address of a host name, IPv4 before IPv6. Returns 0 or -ENOENT. Waits for the resolver.
int clinux_address_resolve(const char *name, clinux_address *out);
// All addresses of a host name, IPv4 before IPv6, at most `count`. Returns how many, or -ENOENT.
// Waits for the resolver.
int clinux_addresses_resolve(const char *name, clinux_address *out, unsigned count);
// Writes an address as text, at most 64 bytes with the NUL.
void clinux_address_write(clinux_address address, char *out);

// Resolution others

// What an SRV record says (RFC 2782).
typedef struct {
    char host[256];
    uint16_t port;
} clinux_service;

// The hosts of a service, `_tftp._udp.example.net`, at most `count`. Returns how many, or a
// negative errno. Waits for the resolver.
int clinux_services_resolve(const char *name, clinux_service *out, unsigned count);
// The same from a DNS answer that is here already.
int clinux_services_read(const uint8_t *answer, unsigned length, clinux_service *out, unsigned count);

// A socket for a multicast group, which receives from the links that it joins.
int clinux_group_open(clinux_address group, uint16_t port);
// Receives from the group on the link of this index too. 0 also where it does already.
int clinux_group_join(int fd, clinux_address group, uint32_t index);
// Receives from the group on that link no more. A link that is gone keeps its place among the
// groups of the socket until it is left.
int clinux_group_leave(int fd, clinux_address group, uint32_t index);
// Sends to the group through the link of `from`, from its address. 0, or a negative errno.
int clinux_group_send(int fd, clinux_address group, uint16_t port, const clinux_interface *from,
                      const void *bytes, unsigned count);

/// What kind of file system a path is on, as statfs(2) numbers them; -errno.
int64_t clinux_file_system(const char *path);
// Returns the number of bytes and the sender, or -EAGAIN.
int clinux_group_receive(int fd, void *bytes, unsigned count, clinux_address *from);

// Files

typedef struct clinux_status {
    uint64_t device, inode, byte_count, links;
    int64_t modified_ns, changed_ns;
    uint32_t mode, user, group; // permission bits and owners
    bool is_regular, is_directory, is_link;
    bool is_public; // world-readable
    bool is_enterable; // a folder that all users may enter
} clinux_status;

enum {
    // openat2's resolve flags
    CLINUX_RESOLVE_BENEATH = 0x08 | 0x02, // RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS
    CLINUX_RESOLVE_NO_LINKS = 0x04, // RESOLVE_NO_SYMLINKS
    // RESOLVE_CACHED | RESOLVE_NO_XDEV: from memory only, and not into another file system, which
    // may be remote
    CLINUX_RESOLVE_AT_ONCE = 0x20 | 0x01,
};

int clinux_open_root(const char *path);
int clinux_open_beneath(int directory, const char *path, int flags, int mode, uint64_t resolve);
int clinux_flags_path(void);     // look only: nothing is opened that could block
int clinux_flags_read(void);
int clinux_flags_unnamed(void);  // O_TMPFILE
int clinux_flags_create(void);
int clinux_flags_directory(void);
int clinux_flags_list(void);     // a directory to be listed, locked or synchronised
int clinux_status_of(int fd, clinux_status *out);
// Whether the kernel answers for the files under `fd` without asking another machine.
bool clinux_is_local(int fd);
// For a file that turned out to be a regular one: reads may wait again.
void clinux_set_blocking(int fd);
// Gives the unnamed file a name; never replaces one.
int clinux_link_unnamed(int fd, int directory, const char *name);
// Moves a name, never over another one.
int clinux_rename_new(int directory, const char *from, const char *to);
int clinux_rename(int directory, const char *from, const char *to);
int clinux_unlink(int directory, const char *name);
uint64_t clinux_free_bytes(int fd);
// Writes what a symbolic link says, at most `count` bytes without a NUL. Returns how many.
int clinux_read_link(int directory, const char *name, char *out, unsigned count);
// Locks an open directory (flock(2)) until it is closed. -EWOULDBLOCK: another process has a lock
// that excludes this one.
int clinux_lock_shared(int fd);
int clinux_lock_alone(int fd, bool waits);
// Copies the content of a file into an empty one: shares its extents where the file system can.
int clinux_copy_content(int from, int to);

// Walking a path by hand

int clinux_flags_link(void); // look only, at a symbolic link itself
// What a symbolic link that is open says, without a NUL. -EINVAL where `fd` is none. Returns how
// many bytes.
int clinux_link_target(int fd, char *out, unsigned count);
// The path by which the kernel knows what is open. Returns how many bytes.
int clinux_path_of(int fd, char *out, unsigned count);
// Of the names in a folder that differ from `name` at most in the case of ASCII letters the first
// in the order of bytes, with a NUL. Returns how many bytes, or -ENOENT.
int clinux_find_folded(int directory, const char *name, char *out, unsigned count);
// All names in a folder but `.` and `..`, each with a NUL behind it: at most 64 MiB. NULL where
// that does not do, or the folder cannot be read.
char *clinux_names_in(int directory, unsigned *byte_count);
void clinux_names_free(char *names);

// Expressions

// A POSIX extended regular expression in the C locale; NULL with a message where it is not valid.
typedef struct clinux_regex clinux_regex;
clinux_regex *clinux_regex_compile(const char *text, bool ignores_case, char *message,
                                   unsigned message_bytes);
void clinux_regex_free(clinux_regex *regex);
// Matches a text; `places` takes both ends of the match and of nine groups, -1 for those that took
// no part. `starts_inside`: the text is the rest of a longer one, so its beginning is none for `^`.
bool clinux_regex_match(const clinux_regex *regex, const char *text, bool starts_inside,
                        int32_t places[20]);

// Memory and threads

void *clinux_map(uint64_t byte_count, bool huge);
void clinux_unmap(void *memory, uint64_t byte_count);
int clinux_eventfd(void);
void clinux_eventfd_ring(int fd);
void clinux_eventfd_clear(int fd);
// Waits until `fd` can be read.
void clinux_wait(int fd);
// The cores this process may use, in order. Returns how many, at most `count`.
int clinux_cpus(int *out, unsigned count);
int clinux_pin_self(int cpu);
// Runs the program of arguments[0] to its end without its standard output. Returns its exit status,
// or 128 and the number of the signal that ended it.
int clinux_run_quietly(char *const *arguments);
void clinux_name_self(const char *name);
int clinux_raise_file_limit(void);
// Rings count as locked memory of the user, in all processes together.
void clinux_raise_memory_lock_limit(void);
// What this process may have: the soft limit. UINT64_MAX: as much as there is.
typedef enum {
    CLINUX_LIMIT_FILES,
    CLINUX_LIMIT_ADDRESS_SPACE,
    CLINUX_LIMIT_DATA,
    CLINUX_LIMIT_LOCKED_MEMORY,
} clinux_limit;
uint64_t clinux_limit_of(clinux_limit limit);

// Makes CAP_IPC_LOCK effective for this thread where it is permitted and is not: a ring that is
// created then does not count against the locked memory of the user. Whether
// `clinux_end_locking_memory` has to give it up again.
bool clinux_begin_locking_memory(void);
void clinux_end_locking_memory(void);
// Whether so much address space could be had now.
bool clinux_has_address_space(uint64_t byte_count);
uint64_t clinux_now(void);
uint64_t clinux_random(void);

// The service manager

// A socket connected to the one that a service manager listens on: a path, or with a leading @ an
// abstract name.
int clinux_notify_open(const char *name);
// Sends one message, e.g. "READY=1". Never waits.
void clinux_notify_send(int fd, const char *state);

// Messages between the main process and the server behind it. Both never wait.
enum {
    CLINUX_MAIN_STOP = 'T',   // to the server: drain
    CLINUX_MAIN_NOTIFY = 'N', // to the main process: the rest is for the service manager
    CLINUX_MAIN_RELEASED = 'R', // to the main process: every listening socket is closed
};

// Makes a child that continues as the server, while this process stays as the main process. Call it
// while the process has one thread. `socket` connects the two. Returns 0 in the child, its number
// in the main process, or a negative errno.
int clinux_split(int *socket);
// What the main process does until it ends: it relays signals to the server, and what the server
// says to the service manager.
_Noreturn void clinux_run_main(int server, int socket, int notify_fd);
// The next message of the main process, waiting for it. 0: the main process has ended.
int clinux_main_receive(int fd);
// Sends one message; `text` may be NULL.
void clinux_main_send(int fd, char kind, const char *text);

// Blocks the signals in this thread and those that it starts.
void clinux_signals_block(const int *signals, unsigned count);
// Lets them through again.
void clinux_signals_unblock(const int *signals, unsigned count);
// Waits for one of them.
int clinux_signals_wait(const int *signals, unsigned count);

// The arguments that the process was started with, its name first; they stay. Needs no /proc. NULL:
// this C library does not tell.
char **clinux_arguments(int *count);

// Starts `count` threads beside those that run, and ends them. Returns 0, or -EAGAIN where so many
// are not allowed, or -ENOMEM where their stacks find no memory.
int clinux_try_threads(unsigned count);

// Whether a directory takes new names and gives none up (chattr +a).
bool clinux_is_append_only(int directory);

// Whether Landlock keeps this process from reading a directory that its permissions let it read.
// False where the permissions do not.
bool clinux_is_walled(int directory);

#endif
