// Devices, their primary contexts and what killed them.
#pragma once

#include "sim.h"

#include <mutex>

namespace sim {

constexpr int maxDevices = 8;

/// Guards streams, events, captures, contexts and handles. Never held while work runs.
SIM_API std::mutex& coreMutex();

/// How many devices the configuration shows.
SIM_API int deviceCount();

/// The context handle of a device's primary context; the device of a handle (-1: not a context).
SIM_API CUcontext contextOf(int device);
SIM_API int deviceOf(CUcontext context);

SIM_API CUresult retainContext(int device);
SIM_API CUresult releaseContext(int device);
SIM_API bool contextIsLive(int device);

/// Called when a device's context ends, after its streams and before its memory: for what else lives in a context.
SIM_API void atContextEnd(void (*callback)(int device));

/// Makes a context current on the calling thread; null: none.
SIM_API CUresult setCurrent(CUcontext context);
SIM_API CUcontext getCurrent();

/// What a call on the calling thread's context must answer before anything else: no context, a destroyed one, a dead device.
SIM_API CUresult checkCurrent(int& device);

/// Kills a device: the first error stays, every later call answers it. Says what happened in cudasimLastFault.
SIM_API void kill(int device, CUresult code, const std::string& message);
/// Takes back every fault.
void forgetFaults();

enum class PeerMode { Off, On, Lying };
SIM_API PeerMode peerMode();
SIM_API CUresult enablePeer(int device, int peer);
SIM_API CUresult disablePeer(int device, int peer);
SIM_API bool peerEnabled(int device, int peer);

}  // namespace sim
