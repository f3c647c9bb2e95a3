// Inside stream.cpp, event.cpp and capture.cpp.
#pragma once

#include "config.h"
#include "device.h"
#include "stream.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <set>
#include <thread>

namespace sim {

using Lock = std::unique_lock<std::mutex>;
struct Stream;

/// One recording of an event: done once the stream has got to it.
struct Completion {
    bool done = false;
    std::chrono::steady_clock::time_point time;
    Stream* producer = nullptr;  // valid until done
    long long sequence = 0;      // of the recording on its stream
};

/// What a running capture has recorded so far.
struct Capture {
    Stream* origin;
    CUstreamCaptureMode mode;
    std::thread::id thread;
    bool invalid = false;
    std::shared_ptr<Graph> graph = std::make_shared<Graph>();
    std::vector<Stream*> streams;  // the origin and those that joined
};

struct Operation {
    enum Kind { Run, Record, Wait } kind = Run;
    std::string name;
    Work work;
    std::shared_ptr<Completion> completion;
    long long sequence = 0;
};

struct Stream {
    int device;
    std::deque<Operation> queue;  // the front is being run
    long long submitted = 0;      // sequence of the last operation put on it
    long long completed = 0;      // and of the last one that has run
    long long wanted = 0;         // somebody waits for all up to this one
    bool closing = false;
    std::mt19937_64 random;
    std::shared_ptr<Capture> capture;
    std::vector<int> tail;        // nodes that the next captured one comes after
};

struct Event {
    int device;
    bool timing;
    std::shared_ptr<Completion> last;          // the last recording outside a capture
    std::weak_ptr<Capture> capture;            // or the capture that it was last recorded in
    bool captured = false;
    std::vector<int> tail;
};

/// Anything happened: one condition for all, since hosts and streams wait for many things.
std::condition_variable& happened();

/// Live handles.
std::set<Stream*>& streams();
std::set<Event*>& events();
std::set<std::shared_ptr<Capture>>& captures();

Stream* find(CUstream handle);
Event* find(CUevent handle);

/// Tells streams that all up to this operation is needed now.
void want(Stream* stream, long long sequence);

/// Puts an operation at the end of the queue, not of a capture.
void push(Stream* stream, Operation operation);

/// CUDA_SUCCESS, or the error of a capture that is broken. Adds a node.
CUresult addNode(Stream* stream, NodeKind kind, std::string name, Work work);

void invalidate(Capture& capture);

/// The call is forbidden while this stream captures; breaks the capture.
CUresult forbidOn(Stream* stream);
CUresult forbidLocked();

}  // namespace sim
