// Ways out of a sandbox. Each returns whether it led out.
#ifndef CWALLPROBE_H
#define CWALLPROBE_H

#include <stdbool.h>

bool cwallprobe_user(void);
bool cwallprobe_groups(void);
bool cwallprobe_capability(void);
bool cwallprobe_core(void);
bool cwallprobe_open(const char *path, bool writes);
bool cwallprobe_remove(const char *path);
bool cwallprobe_execute(void);
bool cwallprobe_fork(void);
bool cwallprobe_trace(void);
bool cwallprobe_mount(const char *path);
bool cwallprobe_raw_socket(void);
bool cwallprobe_namespace(void);
bool cwallprobe_signal(void);

#endif
