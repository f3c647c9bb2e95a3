#include "scheduler.h"

#include "memory.h"
#include "recovery.h"

#include <algorithm>

namespace sim {

std::condition_variable& happened() {
    static std::condition_variable& condition = *new std::condition_variable;
    return condition;
}

std::set<Stream*>& streams() {
    static std::set<Stream*>& set = *new std::set<Stream*>;
    return set;
}

Stream* find(CUstream handle) {
    auto found = streams().find(reinterpret_cast<Stream*>(handle));
    return found == streams().end() ? nullptr : *found;
}

void want(Stream* stream, long long sequence) {
    if (stream->wanted >= sequence) return;
    stream->wanted = sequence;
    for (const Operation& operation : stream->queue) {
        if (operation.sequence > sequence) break;
        if (operation.kind == Operation::Wait && !operation.completion->done)
            want(operation.completion->producer, operation.completion->sequence);
    }
}

void push(Stream* stream, Operation operation) {
    operation.sequence = ++stream->submitted;
    if (operation.kind == Operation::Record) {
        operation.completion->producer = stream;
        operation.completion->sequence = operation.sequence;
    }

    stream->queue.push_back(std::move(operation));
    happened().notify_all();
}

namespace {

// What the seed decides before each operation: whether, and for how long, it is held back.
void holdBack(Stream* stream, Lock& lock) {
    if (!seed()) return;
    static const int holds[] = {0, 0, 0, 100, 300, 2000, 10000, 20000};  // microseconds
    auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(holds[stream->random() % 8]);
    long long sequence = stream->queue.front().sequence;
    while (stream->wanted < sequence && !stream->closing && happened().wait_until(lock, until) != std::cv_status::timeout) {
    }

    int hurry = (int)(stream->random() % 8);
    if (hurry < 2) {
        lock.unlock();
        if (hurry == 0) std::this_thread::yield();
        else std::this_thread::sleep_for(std::chrono::microseconds(stream->random() % 150));
        lock.lock();
    }
}

void runWork(Stream* stream, const Operation& operation) {
    if (deviceStatus(stream->device)) return;
    std::string message;
    CUresult code = guarded(operation.work, message);
    if (code) kill(stream->device, code, operation.name + ": " + message);
}

void serve(Stream* stream) {
    Lock lock(coreMutex());
    for (;;) {
        happened().wait(lock, [&] { return !stream->queue.empty() || stream->closing; });
        if (stream->queue.empty()) break;
        holdBack(stream, lock);
        Operation& operation = stream->queue.front();  // stays valid: others only add at the back
        switch (operation.kind) {
            case Operation::Run:
                lock.unlock();
                runWork(stream, operation);
                operation.work = nullptr;
                lock.lock();
                break;
            case Operation::Record:
                operation.completion->done = true;
                operation.completion->time = std::chrono::steady_clock::now();
                break;
            case Operation::Wait:
                if (stream->wanted >= operation.sequence && !operation.completion->done)
                    want(operation.completion->producer, operation.completion->sequence);
                happened().wait(lock, [&] { return operation.completion->done; });
                break;
        }

        stream->completed = stream->queue.front().sequence;
        stream->queue.pop_front();
        happened().notify_all();
    }

    lock.unlock();
    delete stream;
}

// Waits for all that is on these streams now.
void finish(std::vector<Stream*> list, Lock& lock) {
    std::vector<long long> last;
    for (Stream* stream : list) {
        last.push_back(stream->submitted);
        want(stream, stream->submitted);
    }

    happened().notify_all();
    count("host_waits");
    for (size_t i = 0; i < list.size(); i++)
        happened().wait(lock, [&] { return !streams().count(list[i]) || list[i]->completed >= last[i]; });
}

std::vector<Stream*> streamsOf(int device) {
    std::vector<Stream*> list;
    for (Stream* stream : streams())
        if (stream->device == device) list.push_back(stream);
    return list;
}

// The host has waited: a good time to look whether anything was written where nothing should be.
CUresult afterWait(int device) {
    if (CUresult status = deviceStatus(device)) return status;
    std::string wrong = findOverruns(device);
    if (!wrong.empty()) kill(device, CUDA_ERROR_ILLEGAL_ADDRESS, "found when the host waited: " + wrong);
    return deviceStatus(device);
}

}  // namespace

CUresult createStream(int device, CUstream* handle) {
    Lock lock(coreMutex());
    static unsigned long long made = 0;
    Stream* stream = new Stream;
    stream->device = device;
    stream->random.seed(seed() * 1000003 + made++);
    streams().insert(stream);
    std::thread(serve, stream).detach();
    *handle = reinterpret_cast<CUstream>(stream);
    count("live_streams");
    return CUDA_SUCCESS;
}

static void close(Stream* stream) {
    if (stream->capture) {
        invalidate(*stream->capture);
        auto& members = stream->capture->streams;
        members.erase(std::remove(members.begin(), members.end(), stream), members.end());
        if (stream->capture->origin == stream) {
            for (Stream* member : members) member->capture = nullptr;
            captures().erase(stream->capture);
        }
    }

    streams().erase(stream);
    stream->closing = true;
    count("live_streams", -1);
    happened().notify_all();
}

CUresult destroyStream(CUstream handle) {
    Lock lock(coreMutex());
    Stream* stream = find(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    close(stream);
    return CUDA_SUCCESS;
}

CUresult synchronizeStream(CUstream handle) {
    int device;
    {
        Lock lock(coreMutex());
        Stream* stream = find(handle);
        if (!stream) return CUDA_ERROR_INVALID_HANDLE;
        if (CUresult forbidden = forbidOn(stream)) return forbidden;
        if (CUresult forbidden = forbidLocked()) return forbidden;
        device = stream->device;
        finish({stream}, lock);
    }

    return afterWait(device);
}

void finishDevice(int device) {
    Lock lock(coreMutex());
    finish(streamsOf(device), lock);
}

CUresult synchronizeDevice(int device) {
    finishDevice(device);
    return afterWait(device);
}

void destroyStreamsOf(int device) {
    Lock lock(coreMutex());
    for (Stream* stream : streamsOf(device)) close(stream);
    for (auto event = events().begin(); event != events().end();) {
        Event* one = *event;
        event = one->device == device ? events().erase(event) : std::next(event);
        if (one->device != device) continue;
        delete one;
        count("live_events", -1);
    }
}

CUresult checkStream(CUstream handle) {
    Lock lock(coreMutex());
    return find(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

int deviceOf(CUstream handle) {
    Lock lock(coreMutex());
    Stream* stream = find(handle);
    return stream ? stream->device : -1;
}

bool isCapturing(CUstream handle) {
    Lock lock(coreMutex());
    Stream* stream = find(handle);
    return stream && stream->capture;
}

CUresult submit(CUstream handle, NodeKind kind, std::string name, Work work) {
    Lock lock(coreMutex());
    Stream* stream = find(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (countdown("LOSE_DEVICE")) kill(stream->device, CUDA_ERROR_ECC_UNCORRECTABLE, name + ": the device was lost");
    if (CUresult status = deviceStatus(stream->device)) return status;
    if (stream->capture) return addNode(stream, kind, std::move(name), std::move(work));
    Operation operation;
    operation.name = std::move(name);
    operation.work = std::move(work);
    push(stream, std::move(operation));
    return CUDA_SUCCESS;
}

CUresult enqueue(CUstream stream, std::string name, Work work) {
    count("library_calls");
    return submit(stream, NodeKind::Library, std::move(name), std::move(work));
}

}  // namespace sim
