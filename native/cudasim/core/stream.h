// Streams, events and captures.
//
// A stream is a queue with a thread of its own. All of what is here takes coreMutex by itself; work runs without it.
// With a seed, streams hold work back: until the host, or a stream that the host waits for, needs it, or some milliseconds have
// passed. Everything CUDA leaves open is then decided by the seed.
#pragma once

#include "sim.h"

#include <chrono>
#include <memory>
#include <vector>

namespace sim {

enum class NodeKind { Kernel, Copy, Fill, Library };

/// One operation of a captured graph, with the operations that must come before it.
struct Node {
    NodeKind kind;
    std::string name;
    Work work;
    std::vector<int> after;
};

struct Graph {
    int device;
    std::vector<std::shared_ptr<Node>> nodes;
};

// ---- Streams. A CUstream is made by createStream and known until destroyStream.
SIM_API CUresult createStream(int device, CUstream* stream);
/// What is queued still runs.
SIM_API CUresult destroyStream(CUstream stream);
/// Waits until all that is on the stream has run. Answers the device's sticky error.
SIM_API CUresult synchronizeStream(CUstream stream);
/// The same for all streams of a device.
SIM_API CUresult synchronizeDevice(int device);
/// Waits, whatever happened to the device.
void finishDevice(int device);
/// Destroys the streams and events of a device.
void destroyStreamsOf(int device);
/// Like enqueue, for what is not a library call.
SIM_API CUresult submit(CUstream stream, NodeKind kind, std::string name, Work work);

// ---- Events
SIM_API CUresult createEvent(int device, bool timing, CUevent* event);
SIM_API CUresult destroyEvent(CUevent event);
SIM_API CUresult recordEvent(CUevent event, CUstream stream);
SIM_API CUresult waitEvent(CUstream stream, CUevent event);
SIM_API CUresult queryEvent(CUevent event);
SIM_API CUresult synchronizeEvent(CUevent event);
SIM_API CUresult elapsed(CUevent start, CUevent end, float* milliseconds);

// ---- Captures
SIM_API CUresult beginCapture(CUstream stream, CUstreamCaptureMode mode);
SIM_API CUresult endCapture(CUstream stream, std::shared_ptr<Graph>* graph);
SIM_API CUresult launchGraph(CUstream stream, std::shared_ptr<const Graph> graph);
/// Called by everything that must not happen while this thread may be capturing. Such a call breaks the captures it meets:
/// CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED.
SIM_API CUresult forbidInCapture();
/// The same for a call that a capturing stream itself cannot take.
SIM_API CUresult forbidInCaptureOf(CUstream stream);

}  // namespace sim
