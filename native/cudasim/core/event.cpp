#include "scheduler.h"

namespace sim {

std::set<Event*>& events() {
    static std::set<Event*>& set = *new std::set<Event*>;
    return set;
}

Event* find(CUevent handle) {
    auto found = events().find(reinterpret_cast<Event*>(handle));
    return found == events().end() ? nullptr : *found;
}

CUresult createEvent(int device, bool timing, CUevent* handle) {
    Lock lock(coreMutex());
    Event* event = new Event;
    event->device = device;
    event->timing = timing;
    events().insert(event);
    *handle = reinterpret_cast<CUevent>(event);
    count("live_events");
    return CUDA_SUCCESS;
}

CUresult destroyEvent(CUevent handle) {
    Lock lock(coreMutex());
    Event* event = find(handle);
    if (!event) return CUDA_ERROR_INVALID_HANDLE;
    events().erase(event);
    delete event;
    count("live_events", -1);
    return CUDA_SUCCESS;
}

CUresult recordEvent(CUevent eventHandle, CUstream streamHandle) {
    Lock lock(coreMutex());
    Event* event = find(eventHandle);
    Stream* stream = find(streamHandle);
    if (!event || !stream || event->device != stream->device) return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult status = deviceStatus(stream->device)) return status;
    count("records");
    if (stream->capture) {
        if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        event->captured = true;
        event->capture = stream->capture;
        event->tail = stream->tail;
        return CUDA_SUCCESS;
    }

    event->captured = false;
    event->last = std::make_shared<Completion>();
    Operation operation;
    operation.kind = Operation::Record;
    operation.name = "cuEventRecord";
    operation.completion = event->last;
    push(stream, std::move(operation));
    return CUDA_SUCCESS;
}

CUresult waitEvent(CUstream streamHandle, CUevent eventHandle) {
    Lock lock(coreMutex());
    Event* event = find(eventHandle);
    Stream* stream = find(streamHandle);
    if (!event || !stream) return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult status = deviceStatus(stream->device)) return status;
    count("waits");
    const bool ignore = settingNumber("IGNORE_WAITS", 0) != 0;
    if (event->captured) {
        std::shared_ptr<Capture> capture = event->capture.lock();
        if (!capture) return CUDA_ERROR_CAPTURED_EVENT;
        if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        if (stream->capture && stream->capture != capture) {
            invalidate(*stream->capture);
            invalidate(*capture);
            return CUDA_ERROR_STREAM_CAPTURE_MERGE;
        }

        if (!stream->capture) {
            stream->capture = capture;
            stream->tail.clear();
            capture->streams.push_back(stream);
            stream->tail = event->tail;
        } else if (!ignore) {
            for (int node : event->tail) stream->tail.push_back(node);
        }

        return CUDA_SUCCESS;
    }

    if (stream->capture) {
        if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        if (!event->last) return CUDA_SUCCESS;
        // The graph would depend on something outside of it.
        invalidate(*stream->capture);
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }

    if (!event->last || event->last->done || ignore) return CUDA_SUCCESS;
    Operation operation;
    operation.kind = Operation::Wait;
    operation.name = "cuStreamWaitEvent";
    operation.completion = event->last;
    push(stream, std::move(operation));
    return CUDA_SUCCESS;
}

CUresult queryEvent(CUevent handle) {
    Lock lock(coreMutex());
    Event* event = find(handle);
    if (!event) return CUDA_ERROR_INVALID_HANDLE;
    if (event->captured) {
        if (auto capture = event->capture.lock()) invalidate(*capture);
        return CUDA_ERROR_CAPTURED_EVENT;
    }

    if (CUresult forbidden = forbidLocked()) return forbidden;
    if (CUresult status = deviceStatus(event->device)) return status;
    return !event->last || event->last->done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult synchronizeEvent(CUevent handle) {
    Lock lock(coreMutex());
    Event* event = find(handle);
    if (!event) return CUDA_ERROR_INVALID_HANDLE;
    if (event->captured) {
        if (auto capture = event->capture.lock()) invalidate(*capture);
        return CUDA_ERROR_CAPTURED_EVENT;
    }

    if (CUresult forbidden = forbidLocked()) return forbidden;
    int device = event->device;
    if (std::shared_ptr<Completion> last = event->last) {
        count("host_waits");
        if (!last->done) want(last->producer, last->sequence);
        happened().notify_all();
        happened().wait(lock, [&] { return last->done; });
    }

    return deviceStatus(device);
}

CUresult elapsed(CUevent startHandle, CUevent endHandle, float* milliseconds) {
    Lock lock(coreMutex());
    Event* start = find(startHandle);
    Event* end = find(endHandle);
    if (!start || !end || !start->timing || !end->timing || !start->last || !end->last) return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult status = deviceStatus(start->device)) return status;
    if (!start->last->done || !end->last->done) return CUDA_ERROR_NOT_READY;
    *milliseconds = std::chrono::duration<float, std::milli>(end->last->time - start->last->time).count();
    return CUDA_SUCCESS;
}

}  // namespace sim
