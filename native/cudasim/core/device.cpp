#include "device.h"

#include "config.h"
#include "memory.h"
#include "stream.h"

#include <atomic>
#include <vector>

namespace sim {
namespace {

struct Device {
    int uses = 0;                      // of the primary context; guarded by coreMutex
    std::atomic<unsigned> generation{0};  // odd while the context lives
    std::atomic<int> fault{CUDA_SUCCESS};
    std::atomic<bool> lost{false};     // gone for good, whatever context is made
    std::atomic<unsigned> peers{0};    // bit p: memory of device p may be touched
};

Device devices[maxDevices];
std::mutex faultMutex;
std::string& lastFault() {
    static std::string& text = *new std::string;
    return text;
}

std::vector<void (*)(int)>& endings() {
    static auto& list = *new std::vector<void (*)(int)>;
    return list;
}

thread_local int threadDevice = -1;
thread_local unsigned threadGeneration = 0;

}  // namespace

std::mutex& coreMutex() {
    static std::mutex& mutex = *new std::mutex;
    return mutex;
}

int deviceCount() {
    long long count = settingNumber("DEVICES", 2);
    return count < 0 ? 0 : count > maxDevices ? maxDevices : (int)count;
}

int computeCapability() {
    std::string text = setting("COMPUTE_CAPABILITY", "8.0");
    int major = 0, minor = 0;
    return std::sscanf(text.c_str(), "%d.%d", &major, &minor) >= 1 ? 10 * major + minor : 80;
}

CUcontext contextOf(int device) { return reinterpret_cast<CUcontext>(&devices[device]); }

int deviceOf(CUcontext context) {
    for (int device = 0; device < maxDevices; device++)
        if (contextOf(device) == context) return device;
    return -1;
}

CUresult retainContext(int device) {
    std::lock_guard<std::mutex> lock(coreMutex());
    Device& d = devices[device];
    if (d.fault) return (CUresult)d.fault.load();
    if (d.uses++ == 0) {
        d.generation++;
        count("live_contexts");
    }

    return CUDA_SUCCESS;
}

CUresult releaseContext(int device) {
    Device& d = devices[device];
    {
        std::lock_guard<std::mutex> lock(coreMutex());
        if (d.uses == 0) return CUDA_ERROR_INVALID_CONTEXT;
        if (d.uses > 1) {
            d.uses--;
            return CUDA_SUCCESS;
        }
    }

    finishDevice(device);
    destroyStreamsOf(device);
    for (auto callback : endings()) callback(device);
    freeAllOn(device);
    std::lock_guard<std::mutex> lock(coreMutex());
    d.uses = 0;
    d.generation++;
    d.peers = 0;
    if (!d.lost) d.fault = CUDA_SUCCESS;
    for (Device& other : devices) other.peers &= ~(1u << device);
    count("live_contexts", -1);
    return CUDA_SUCCESS;
}

void atContextEnd(void (*callback)(int device)) { endings().push_back(callback); }

bool contextIsLive(int device) { return devices[device].generation & 1; }

CUresult setCurrent(CUcontext context) {
    if (!context) {
        threadDevice = -1;
        return CUDA_SUCCESS;
    }

    int device = deviceOf(context);
    if (device < 0 || !contextIsLive(device)) return CUDA_ERROR_INVALID_CONTEXT;
    threadDevice = device;
    threadGeneration = devices[device].generation;
    return CUDA_SUCCESS;
}

CUcontext getCurrent() { return threadDevice < 0 ? nullptr : contextOf(threadDevice); }

int currentDevice() {
    if (threadDevice < 0 || devices[threadDevice].generation != threadGeneration) return -1;
    return threadDevice;
}

CUresult checkCurrent(int& device) {
    device = threadDevice;
    if (device < 0) return CUDA_ERROR_INVALID_CONTEXT;
    if (devices[device].generation != threadGeneration) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    return deviceStatus(device);
}

CUresult deviceStatus(int device) {
    return device < 0 || device >= maxDevices ? CUDA_ERROR_INVALID_DEVICE : (CUresult)devices[device].fault.load();
}

void kill(int device, CUresult code, const std::string& message) {
    int none = CUDA_SUCCESS;
    if (!devices[device].fault.compare_exchange_strong(none, code)) return;
    if (code == CUDA_ERROR_ECC_UNCORRECTABLE) devices[device].lost = true;
    count("faults");
    std::lock_guard<std::mutex> lock(faultMutex);
    lastFault() = "device " + std::to_string(device) + ": " + message;
    if (settingNumber("REPORT", 0)) std::fprintf(stderr, "cudasim: %s\n", lastFault().c_str());
}

void forgetFaults() {
    for (Device& device : devices) {
        device.fault = CUDA_SUCCESS;
        device.lost = false;
    }

    std::lock_guard<std::mutex> lock(faultMutex);
    lastFault().clear();
}

PeerMode peerMode() {
    std::string mode = setting("PEER", "on");
    return mode == "off" ? PeerMode::Off : mode == "lying" ? PeerMode::Lying : PeerMode::On;
}

CUresult enablePeer(int device, int peer) {
    if (device == peer) return CUDA_ERROR_INVALID_DEVICE;
    if (peerMode() == PeerMode::Off) return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
    unsigned bit = 1u << peer;
    return devices[device].peers.fetch_or(bit) & bit ? CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED : CUDA_SUCCESS;
}

CUresult disablePeer(int device, int peer) {
    unsigned bit = 1u << peer;
    return devices[device].peers.fetch_and(~bit) & bit ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

bool peerEnabled(int device, int peer) { return devices[device].peers >> peer & 1; }

}  // namespace sim

const char* cudasimLastFault(void) {
    static thread_local std::string copy;
    std::lock_guard<std::mutex> lock(sim::faultMutex);
    copy = sim::lastFault();
    return copy.c_str();
}
