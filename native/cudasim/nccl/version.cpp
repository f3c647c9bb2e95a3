#include "sim.h"

extern "C" __attribute__((visibility("default"))) const char* cudasimVersion(void) { return sim::version; }
