// The version of the program, as the build says it: see Package.swift.
#ifndef CVERSION_H
#define CVERSION_H

const char *bootstorm_version(void);

#endif
