#include "api.h"

#include "config.h"

#include <vector>

struct CUgraph_st {
    std::shared_ptr<sim::Graph> graph;
};

struct CUgraphExec_st {
    std::shared_ptr<const sim::Graph> graph;
};

namespace {

sim::Handles<CUgraph_st>& graphs() {
    static auto& handles = *new sim::Handles<CUgraph_st>;
    return handles;
}

sim::Handles<CUgraphExec_st>& executables() {
    static auto& handles = *new sim::Handles<CUgraphExec_st>;
    return handles;
}

}  // namespace

extern "C" {

CUresult cuStreamCreate(CUstream* phStream, unsigned int Flags) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(phStream && Flags <= CU_STREAM_NON_BLOCKING, CUDA_ERROR_INVALID_VALUE)
    return sim::createStream(device, phStream);
}

CUresult cuStreamDestroy_v2(CUstream hStream) {
    CUDASIM_CURRENT(device)
    return sim::destroyStream(hStream);
}

CUresult cuStreamSynchronize(CUstream hStream) {
    CUDASIM_CURRENT(device)
    return sim::synchronizeStream(hStream);
}

CUresult cuStreamWaitEvent(CUstream hStream, CUevent hEvent, unsigned int Flags) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(Flags == 0, CUDA_ERROR_INVALID_VALUE)
    return sim::waitEvent(hStream, hEvent);
}

CUresult cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(mode >= CU_STREAM_CAPTURE_MODE_GLOBAL && mode <= CU_STREAM_CAPTURE_MODE_RELAXED, CUDA_ERROR_INVALID_VALUE)
    return sim::beginCapture(hStream, mode);
}

CUresult cuStreamEndCapture(CUstream hStream, CUgraph* phGraph) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(phGraph, CUDA_ERROR_INVALID_VALUE)
    *phGraph = nullptr;
    std::shared_ptr<sim::Graph> graph;
    if (CUresult status = sim::endCapture(hStream, &graph)) return status;
    *phGraph = new CUgraph_st{graph};
    graphs().add(*phGraph);
    sim::count("live_graphs");
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent* phEvent, unsigned int Flags) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(phEvent && (Flags & ~3u) == 0, CUDA_ERROR_INVALID_VALUE)
    return sim::createEvent(device, !(Flags & CU_EVENT_DISABLE_TIMING), phEvent);
}

CUresult cuEventDestroy_v2(CUevent hEvent) {
    CUDASIM_CURRENT(device)
    return sim::destroyEvent(hEvent);
}

CUresult cuEventRecord(CUevent hEvent, CUstream hStream) {
    CUDASIM_CURRENT(device)
    return sim::recordEvent(hEvent, hStream);
}

CUresult cuEventQuery(CUevent hEvent) {
    CUDASIM_CURRENT(device)
    return sim::queryEvent(hEvent);
}

CUresult cuEventSynchronize(CUevent hEvent) {
    CUDASIM_CURRENT(device)
    return sim::synchronizeEvent(hEvent);
}

CUresult cuEventElapsedTime(float* pMilliseconds, CUevent hStart, CUevent hEnd) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(pMilliseconds, CUDA_ERROR_INVALID_VALUE)
    return sim::elapsed(hStart, hEnd, pMilliseconds);
}

CUresult cuGraphGetNodes(CUgraph hGraph, CUgraphNode* nodes, size_t* numNodes) {
    CUDASIM_REQUIRE(hGraph && graphs().has(hGraph) && numNodes, CUDA_ERROR_INVALID_VALUE)
    const auto& list = hGraph->graph->nodes;
    if (nodes)
        for (size_t i = 0; i < *numNodes; i++) nodes[i] = i < list.size() ? reinterpret_cast<CUgraphNode>(list[i].get()) : nullptr;
    if (!nodes || *numNodes > list.size()) *numNodes = list.size();
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* phGraphExec, CUgraph hGraph, unsigned long long flags) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(phGraphExec && hGraph && graphs().has(hGraph) && flags == 0, CUDA_ERROR_INVALID_VALUE)
    auto* executable = new CUgraphExec_st{std::make_shared<const sim::Graph>(*hGraph->graph)};
    executables().add(executable);
    *phGraphExec = executable;
    sim::count("live_graph_execs");
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec hGraphExec, CUstream hStream) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(hGraphExec && executables().has(hGraphExec), CUDA_ERROR_INVALID_VALUE)
    return sim::launchGraph(hStream, hGraphExec->graph);
}

CUresult cuGraphExecDestroy(CUgraphExec hGraphExec) {
    CUDASIM_REQUIRE(hGraphExec && executables().remove(hGraphExec), CUDA_ERROR_INVALID_VALUE)
    delete hGraphExec;
    sim::count("live_graph_execs", -1);
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph hGraph) {
    CUDASIM_REQUIRE(hGraph && graphs().remove(hGraph), CUDA_ERROR_INVALID_VALUE)
    delete hGraph;
    sim::count("live_graphs", -1);
    return CUDA_SUCCESS;
}

}  // extern "C"
