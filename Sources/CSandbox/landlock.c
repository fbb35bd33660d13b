#define _GNU_SOURCE
#include "CSandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// By number, since the headers of older systems know only the first rights, and those of some know
// none.
enum {
    SYSTEM_CREATE_RULESET = 444,
    SYSTEM_ADD_RULE = 445,
    SYSTEM_RESTRICT_SELF = 446,
    VERSION_FLAG = 1,
    RULE_PATH_BENEATH = 1,
};

enum {
    RIGHT_EXECUTE = 1 << 0,
    RIGHT_WRITE_FILE = 1 << 1,
    RIGHT_READ_FILE = 1 << 2,
    RIGHT_READ_DIRECTORY = 1 << 3,
    RIGHT_REMOVE_DIRECTORY = 1 << 4,
    RIGHT_REMOVE_FILE = 1 << 5,
    RIGHT_MAKE_DIRECTORY = 1 << 7,
    RIGHT_MAKE_REGULAR = 1 << 8,
    RIGHT_MAKE_SOCKET = 1 << 9,
    RIGHT_MAKE_LINK = 1 << 12,
    RIGHT_REFER = 1 << 13,
    RIGHT_TRUNCATE = 1 << 14,
    RIGHT_IOCTL_DEVICE = 1 << 15,
};

struct ruleset_attribute {
    uint64_t handled_files;
};

struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

int csandbox_open(const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int csandbox_landlock_version(void)
{
    long version = syscall(SYSTEM_CREATE_RULESET, NULL, 0, VERSION_FLAG);
    return version < 0 ? 0 : (int)version;
}

static uint64_t rights_of(int version)
{
    uint64_t rights = (1 << 13) - 1;
    if (version >= 2)
        rights |= RIGHT_REFER;
    if (version >= 3)
        rights |= RIGHT_TRUNCATE;
    if (version >= 5)
        rights |= RIGHT_IOCTL_DEVICE;
    return rights;
}

static int allow(int ruleset, const csandbox_path *path, uint64_t handled)
{
    uint64_t rights = RIGHT_READ_FILE | RIGHT_READ_DIRECTORY;
    if (path->writes)
        rights |= RIGHT_WRITE_FILE | RIGHT_TRUNCATE | RIGHT_REMOVE_FILE | RIGHT_MAKE_REGULAR | RIGHT_REFER
                  // A node of a fleet switches the link to its current snapshot.
                  | RIGHT_MAKE_DIRECTORY | RIGHT_REMOVE_DIRECTORY | RIGHT_MAKE_LINK;
    if (path->makes_sockets)
        rights |= RIGHT_MAKE_SOCKET | RIGHT_REMOVE_FILE;
    struct stat status;
    if (fstat(path->directory, &status) < 0)
        return -errno;
    // Rights of directories are an error for anything else.
    if (!S_ISDIR(status.st_mode))
        rights &= RIGHT_READ_FILE | RIGHT_WRITE_FILE | RIGHT_TRUNCATE;
    struct path_beneath rule = {.allowed = rights & handled, .parent = path->directory};
    long result = syscall(SYSTEM_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0);
    return result < 0 ? -errno : 0;
}

int csandbox_landlock(const csandbox_path *paths, unsigned count)
{
    int version = csandbox_landlock_version();
    if (version == 0)
        return -EOPNOTSUPP;
    struct ruleset_attribute attribute = {.handled_files = rights_of(version)};
    int ruleset = (int)syscall(SYSTEM_CREATE_RULESET, &attribute, sizeof(attribute), 0);
    if (ruleset < 0)
        return -errno;
    int result = 0;
    for (unsigned i = 0; i < count && result == 0; i++)
        result = allow(ruleset, &paths[i], attribute.handled_files);
    if (result == 0 && syscall(SYSTEM_RESTRICT_SELF, ruleset, 0) < 0)
        result = -errno;
    close(ruleset);
    return result;
}
