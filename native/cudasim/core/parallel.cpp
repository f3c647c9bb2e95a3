#include "recovery.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace sim {

void parallelFor(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body) {
    if (count <= 0) return;
    grain = std::max<int64_t>(1, grain);
    const int64_t parts = (count + grain - 1) / grain;
    std::atomic<int64_t> next{0};
    auto take = [&] {
        for (int64_t part; (part = next++) < parts;) body(part * grain, std::min(count, (part + 1) * grain));
    };

    static const bool alone = std::thread::hardware_concurrency() < 2;
    if (parts == 1 || alone) {
        take();
        return;
    }

    // A fault on either side must not leave the other one running over a stack that is gone.
    CUresult codes[2];
    std::string messages[2];
    std::thread helper([&] {
        codes[1] = guarded(take, messages[1]);
        if (codes[1]) next = parts;
    });
    codes[0] = guarded(take, messages[0]);
    if (codes[0]) next = parts;
    helper.join();
    for (int side = 0; side < 2; side++)
        if (codes[side]) throw Fault(codes[side], messages[side]);
}

}  // namespace sim
