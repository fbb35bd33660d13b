// Files that are written: owners, folders, leftovers. Included by CLinux.h.
#ifndef CLINUX_FILES_H
#define CLINUX_FILES_H

#include <stdbool.h>
#include <stdint.h>

struct clinux_status;

int clinux_flags_write(void); // an existing file, from its beginning; nothing is cut off
int clinux_flags_look(void);  // as clinux_flags_path, and of a symbolic link the link itself
// Which folder `path` leads to now. Negative errno where it leads to none.
int clinux_folder_at(const char *path, uint64_t *device, uint64_t *inode);
// Whether files are accessed with the rights of another user than this process's.
bool clinux_acts_as_other_user(void);
// Whether the permission bits let this process's user write the file open as `fd`. A privilege to
// ignore them does not count, nor what only the user may do that files are accessed as.
bool clinux_may_write(int fd, const struct clinux_status *status);
// Gives an open file the owner, group and permission bits of another one.
int clinux_set_owner(int fd, const struct clinux_status *like);
int clinux_set_mode(int fd, unsigned mode);
int clinux_truncate(int fd, uint64_t byte_count);
// Which mount the file open as `fd` was reached by; 0 where the kernel does not tell. No other
// mount has its number while `fd` is open.
uint64_t clinux_mount_of(int fd);
int clinux_make_folder(int directory, const char *name, unsigned mode);
// A second name for a file; never replaces one.
int clinux_link(int directory, const char *from, const char *to);
// Removes files beneath `root`, on its file system, whose names begin with `prefix`, that no
// process has locked (flock) and that were there at `started_ns` of the wall clock. Returns how
// many.
int clinux_remove_leftovers(int root, const char *prefix, int64_t started_ns);
// Whether a file that was last changed at `changed_ns` was there at `started_ns`, for all that is
// known at `now_ns`.
bool clinux_was_there(int64_t changed_ns, int64_t started_ns, int64_t now_ns);
int64_t clinux_wall_clock(void);

#endif
