// Walls around a process: another user, no capabilities, Landlock, seccomp.
//
// All but what is said otherwise are for the calling thread and the threads that it starts later:
// call them while the process has one thread. Functions return 0 or a count, or a negated errno.
#ifndef CSANDBOX_H
#define CSANDBOX_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t uid;
    uint32_t gid;
    char name[64];
} csandbox_user;

// Finds a user by name, or by number. -ENOENT: there is none.
int csandbox_find_user(const char *name, csandbox_user *out);
// Opens a file or directory to look only. Returns a descriptor.
int csandbox_open(const char *path);
// Gives up supplementary groups for those of `user`, and the group for its own. The first step of
// becoming it.
int csandbox_take_groups(const csandbox_user *user);
// Whether `user` may enter (and where `writes`, change) the open directory. As root, after
// `csandbox_take_groups`.
bool csandbox_may_use(const csandbox_user *user, int directory, bool writes);
// The owner and the group of an open directory.
int csandbox_owner(int directory, uint32_t *uid, uint32_t *gid);
// Becomes `user` for good and drops every capability. Files are accessed and created as `files_uid`
// and `files_gid`, which are the user's own unless the user lacks access to a required folder.
int csandbox_become(const csandbox_user *user, uint32_t files_uid, uint32_t files_gid);
// Gives up every capability, also those that a program started later could have.
int csandbox_drop_capabilities(void);
// Nothing that this process starts gets more privileges than it has.
int csandbox_no_new_privileges(void);
// No core dump, now or later: it would have keys in it.
int csandbox_no_core(void);

typedef struct {
    int directory;  // an open file or directory; O_PATH does
    bool writes;    // files beneath may be created, written and removed, not only read
    bool makes_sockets;
} csandbox_path;

// The version of Landlock that the kernel has. 0: none.
int csandbox_landlock_version(void);
// Nothing but what is beneath `paths` can be opened from now on; what is open stays open. -ENOSYS,
// -EOPNOTSUPP: the kernel has no Landlock. Needs no_new_privs.
int csandbox_landlock(const csandbox_path *paths, unsigned count);
// Nothing but the system calls of a server can be made from now on, in all threads: no program is
// started, nothing is mounted, traced or loaded. Others fail with ENOSYS. Needs no_new_privs.
int csandbox_seccomp(void);

// What stands around a process, as /proc tells.
typedef struct {
    uint32_t uid;
    uint64_t capabilities;
    bool no_new_privileges;
    int seccomp; // 2: a filter
    bool may_dump_core;
} csandbox_state;

int csandbox_read_state(csandbox_state *out);

#endif
