#include "scheduler.h"

#include <algorithm>

namespace sim {

std::set<std::shared_ptr<Capture>>& captures() {
    static auto& set = *new std::set<std::shared_ptr<Capture>>;
    return set;
}

void invalidate(Capture& capture) { capture.invalid = true; }

CUresult forbidOn(Stream* stream) {
    if (!stream->capture) return CUDA_SUCCESS;
    invalidate(*stream->capture);
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

// Global captures forbid the call to every thread, thread-local ones to the thread that began them.
CUresult forbidLocked() {
    CUresult result = CUDA_SUCCESS;
    for (auto& capture : captures()) {
        bool mine = capture->thread == std::this_thread::get_id();
        if (capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
        if (capture->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && !mine) continue;
        invalidate(*capture);
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }

    return result;
}

CUresult forbidInCapture() {
    Lock lock(coreMutex());
    return forbidLocked();
}

CUresult forbidInCaptureOf(CUstream handle) {
    Lock lock(coreMutex());
    Stream* stream = find(handle);
    return stream ? forbidOn(stream) : CUDA_SUCCESS;
}

CUresult addNode(Stream* stream, NodeKind kind, std::string name, Work work) {
    Capture& capture = *stream->capture;
    if (capture.invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->name = std::move(name);
    node->work = std::move(work);
    node->after = stream->tail;
    stream->tail = {(int)capture.graph->nodes.size()};
    capture.graph->nodes.push_back(std::move(node));
    return CUDA_SUCCESS;
}

CUresult beginCapture(CUstream handle, CUstreamCaptureMode mode) {
    Lock lock(coreMutex());
    Stream* stream = find(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult status = deviceStatus(stream->device)) return status;
    if (stream->capture) {
        invalidate(*stream->capture);
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    }

    auto capture = std::make_shared<Capture>();
    capture->origin = stream;
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    capture->graph->device = stream->device;
    capture->streams.push_back(stream);
    stream->capture = capture;
    stream->tail.clear();
    captures().insert(capture);
    return CUDA_SUCCESS;
}

namespace {

// Every node must lead to the end of the stream that began the capture.
bool joined(const Graph& graph, const std::vector<int>& tail) {
    std::vector<bool> reached(graph.nodes.size());
    std::vector<int> open = tail;
    while (!open.empty()) {
        int node = open.back();
        open.pop_back();
        if (reached[node]) continue;
        reached[node] = true;
        for (int before : graph.nodes[node]->after) open.push_back(before);
    }

    return std::all_of(reached.begin(), reached.end(), [](bool r) { return r; });
}

}  // namespace

CUresult endCapture(CUstream handle, std::shared_ptr<Graph>* graph) {
    Lock lock(coreMutex());
    Stream* stream = find(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    std::shared_ptr<Capture> capture = stream->capture;
    if (!capture) return CUDA_ERROR_INVALID_VALUE;
    if (capture->origin != stream) {
        invalidate(*capture);
        return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    }

    if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != std::this_thread::get_id())
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    std::vector<int> tail = stream->tail;
    for (Stream* member : capture->streams) {
        member->capture = nullptr;
        member->tail.clear();
    }

    captures().erase(capture);
    if (capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!joined(*capture->graph, tail)) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    *graph = capture->graph;
    return deviceStatus(stream->device);
}

CUresult launchGraph(CUstream handle, std::shared_ptr<const Graph> graph) {
    Lock lock(coreMutex());
    Stream* stream = find(handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult forbidden = forbidOn(stream)) return forbidden;
    count("graph_launches");

    // One of the orders that the edges allow: the one of the capture, or one that the seed picks.
    const size_t size = graph->nodes.size();
    std::vector<int> order, waiting(size), ready;
    std::vector<std::vector<int>> next(size);
    for (size_t i = 0; i < size; i++) {
        std::vector<int> after = graph->nodes[i]->after;
        std::sort(after.begin(), after.end());
        after.erase(std::unique(after.begin(), after.end()), after.end());
        waiting[i] = (int)after.size();
        for (int before : after) next[before].push_back((int)i);
        if (after.empty()) ready.push_back((int)i);
    }

    while (!ready.empty()) {
        auto pick = seed() ? ready.begin() + (long)(stream->random() % ready.size()) : std::min_element(ready.begin(), ready.end());
        int node = *pick;
        ready.erase(pick);
        order.push_back(node);
        for (int follower : next[node])
            if (--waiting[follower] == 0) ready.push_back(follower);
    }

    for (int index : order) {
        std::shared_ptr<Node> node = graph->nodes[index];
        if (countdown("LOSE_DEVICE")) kill(stream->device, CUDA_ERROR_ECC_UNCORRECTABLE, node->name + ": the device was lost");
        if (CUresult status = deviceStatus(stream->device)) return status;
        Operation operation;
        operation.name = node->name;
        operation.work = [node] { node->work(); };
        push(stream, std::move(operation));
    }

    return deviceStatus(stream->device);
}

}  // namespace sim
