#include "config.h"

#include "device.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sstream>
#include <vector>

namespace sim {
namespace {

const char* const keys[] = {"DEVICES", "MEMORY", "COMPUTE_CAPABILITY", "DRIVER_VERSION", "PEER", "SEED",
                            "FAIL_ALLOC", "FAIL_LAUNCH", "FAIL_NCCL", "LOSE_DEVICE", "IGNORE_WAITS", "KEEP_SOURCES", "NCCL_TIMEOUT",
                            "RACES", "PTX_CACHE"};

const char* const counters[] = {"allocations", "frees", "pinned_allocations", "pinned_frees", "launches", "graph_launches", "copies",
                                "copied_bytes", "fills", "records", "waits", "host_waits", "library_calls", "module_loads", "compilations",
                                "live_allocations", "live_bytes", "peak_bytes", "live_pinned", "live_streams", "live_events", "live_modules",
                                "live_graphs", "live_graph_execs", "live_contexts", "live_communicators", "communicator_aborts", "faults"};

struct State {
    std::mutex mutex;
    std::map<std::string, std::string> values;
    std::map<std::string, std::atomic<long long>> counts;
    std::atomic<bool> armed{false};  // some countdown may be set
    std::atomic<unsigned long long> seed{0};

    State() {
        for (const char* counter : counters) counts[counter] = 0;
        readEnvironment();
    }

    void readEnvironment() {
        values.clear();
        for (const char* key : keys) setFromEnvironment(key);
        changed();
    }

    void setFromEnvironment(const char* key) {
        const char* value = std::getenv((std::string("CUDASIM_") + key).c_str());
        if (value && *value) values[key] = value;
        else values.erase(key);
    }

    void changed() {
        armed = values.count("FAIL_ALLOC") || values.count("FAIL_LAUNCH") || values.count("FAIL_NCCL") || values.count("LOSE_DEVICE");
        auto found = values.find("SEED");
        seed = found == values.end() ? 0 : std::strtoull(found->second.c_str(), nullptr, 10);
    }
};

// Never destroyed: streams' threads may still run while the process exits.
State& state() {
    static State& instance = *new State;
    return instance;
}

bool isKey(const char* key) {
    for (const char* known : keys)
        if (!std::strcmp(known, key)) return true;
    return false;
}

}  // namespace

std::string setting(const char* key, const char* fallback) {
    State& s = state();
    std::lock_guard<std::mutex> lock(s.mutex);
    auto found = s.values.find(key);
    return found == s.values.end() ? fallback : found->second;
}

long long settingNumber(const char* key, long long fallback) {
    std::string value = setting(key, "");
    char* end = nullptr;
    long long number = std::strtoll(value.c_str(), &end, 10);
    return end == value.c_str() ? fallback : number;
}

bool countdown(const char* key) { return countdownOrName(key, ""); }

bool countdownOrName(const char* key, const std::string& name) {
    State& s = state();
    if (!s.armed) return false;
    std::lock_guard<std::mutex> lock(s.mutex);
    auto found = s.values.find(key);
    if (found == s.values.end()) return false;
    if (!name.empty() && found->second == name) {
        s.values.erase(found);
        s.changed();
        return true;
    }

    std::vector<long long> left;
    std::istringstream numbers(found->second);
    bool hit = false;
    for (std::string number; std::getline(numbers, number, ',');) {
        char* end = nullptr;
        long long turns = std::strtoll(number.c_str(), &end, 10);
        if (end == number.c_str()) return false;  // a name
        hit |= turns == 1;
        if (turns > 1) left.push_back(turns - 1);
    }

    if (left.empty()) {
        s.values.erase(found);
    } else {
        found->second.clear();
        for (long long turns : left) found->second += (found->second.empty() ? "" : ",") + std::to_string(turns);
    }

    s.changed();
    return hit;
}

unsigned long long seed() { return state().seed; }

void count(const char* counter, long long amount) {
    auto& counts = state().counts;
    auto found = counts.find(counter);
    if (found != counts.end()) found->second += amount;
}

}  // namespace sim

int cudasimConfigure(const char* key, const char* value) {
    if (!key || !sim::isKey(key)) return 1;
    sim::State& s = sim::state();
    std::lock_guard<std::mutex> lock(s.mutex);
    if (value) s.values[key] = value;
    else s.setFromEnvironment(key);
    s.changed();
    return 0;
}

void cudasimReset(void) {
    {
        sim::State& s = sim::state();
        std::lock_guard<std::mutex> lock(s.mutex);
        s.readEnvironment();
        for (auto& entry : s.counts)
            if (entry.first.compare(0, 5, "live_")) entry.second = 0;
    }
    sim::forgetFaults();
}

long long cudasimCounter(const char* name) {
    auto& counts = sim::state().counts;
    auto found = counts.find(name ? name : "");
    return found == counts.end() ? -1 : found->second.load();
}

const char* cudasimVersion(void) { return sim::version; }
