#include "CVersion.h"

const char *bootstorm_version(void) { return BOOTSTORM_VERSION; }
