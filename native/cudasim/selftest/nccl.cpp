// NCCL: ranks on threads.
#include "libraries.h"

#include <nccl.h>
