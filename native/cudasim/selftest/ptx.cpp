// PTX as ILGPU writes it: what the translated kernels compute, one instruction at a time and as a whole, and what is refused.
#include "selftest.h"

#include <cmath>
#include <cstring>
#include <map>

using test::Gpu;

namespace {

const std::string header = ".version 7.0\n.target sm_80\n.address_size 64\n";

uint64_t bits(double value) {
    uint64_t result;
    std::memcpy(&result, &value, sizeof result);
    return result;
}

uint64_t bits(float value) {
    uint32_t result;
    std::memcpy(&result, &value, sizeof result);
    return result;
}

/// Loads PTX, with the words of the error log.
struct Loaded {
    explicit Loaded(const std::string& text) {
        char error[2000] = "", info[2000] = "";
        CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES};
        void* values[] = {error, reinterpret_cast<void*>(sizeof error), info, reinterpret_cast<void*>(sizeof info)};
        code = cuModuleLoadDataEx(&module, text.c_str(), 4, options, values);
        log = error;
        this->info = info;
        if (log.size() + (log.empty() ? 0 : 1) != reinterpret_cast<size_t>(values[1])) test::fail(__FILE__, __LINE__, "the size of the log is wrong");
    }
    ~Loaded() {
        if (module) cuModuleUnload(module);  // a fault may have ended the context
    }
    CUfunction function(const char* name) const {
        CUfunction found = nullptr;
        OK(cuModuleGetFunction(&found, module, name));
        return found;
    }

    CUmodule module = nullptr;
    CUresult code;
    std::string log, info;
};

// ---- One instruction at a time

/// Instructions over %a.., %b.., %c.. (16, 32, 64: bits; f, d: floating point) that leave a result in %r16, %r32, %r64, %rf, %rd or %p.
struct Row {
    const char* text;
    uint64_t a, b, c, expected;
};

/// All rows in one kernel, each in a scope of its own.
void check(const char* file, int line, const std::vector<Row>& rows) {
    std::string text = header + ".visible .entry rows(.param .u64 input, .param .u64 output)\n{\n.reg .u64 %in, %out;\n"
                                "ld.param.u64 %in, [input];\nld.param.u64 %out, [output];\n";
    std::vector<uint64_t> inputs;
    for (size_t i = 0; i < rows.size(); i++) {
        inputs.insert(inputs.end(), {rows[i].a, rows[i].b, rows[i].c});
        text += "{\n.reg .b16 %a16, %b16, %c16, %r16; .reg .b32 %a32, %b32, %c32, %r32, %u, %v; .reg .b64 %a64, %b64, %c64, %r64;\n"
                ".reg .f32 %af, %bf, %cf, %rf; .reg .f64 %ad, %bd, %cd, %rd; .reg .pred %p, %q, %o;\n"
                "setp.ne.b32 %o, 0, 0;\n";
        for (int k = 0; k < 3; k++) {
            const std::string name = std::string("%") + "abc"[k], at = ", [%in+" + std::to_string(24 * i + 8 * (size_t)k) + "];\n";
            text += "ld.global.b64 " + name + "64" + at + "ld.global.b32 " + name + "32" + at + "ld.global.b16 " + name + "16" + at;
            text += "ld.global.f32 " + name + "f" + at + "ld.global.f64 " + name + "d" + at;
        }

        const std::string body = rows[i].text, to = "[%out+" + std::to_string(8 * i) + "]";
        text += body + "\n";
        if (body.find("%r64") != std::string::npos) text += "st.global.b64 " + to + ", %r64;\n";
        else if (body.find("%rd") != std::string::npos) text += "st.global.f64 " + to + ", %rd;\n";
        else if (body.find("%rf") != std::string::npos) text += "mov.b32 %r32, %rf;\ncvt.u64.u32 %r64, %r32;\nst.global.b64 " + to + ", %r64;\n";
        else if (body.find("%r32") != std::string::npos) text += "cvt.u64.u32 %r64, %r32;\nst.global.b64 " + to + ", %r64;\n";
        else if (body.find("%r16") != std::string::npos) text += "cvt.u64.u16 %r64, %r16;\nst.global.b64 " + to + ", %r64;\n";
        else text += "selp.b64 %r64, 1, 0, %p;\nst.global.b64 " + to + ", %r64;\n";
        text += "}\n";
    }

    Gpu gpu;
    Loaded loaded(text + "ret;\n}\n");
    if (loaded.code) {
        test::fail(file, line, loaded.log);
        return;
    }

    CUdeviceptr input = gpu.upload(inputs), output = gpu.alloc(rows.size() * 8);
    OK(gpu.launch(loaded.function("rows"), 1, 1, 0, input, output));
    std::vector<uint64_t> got = gpu.download<uint64_t>(output, rows.size());
    OK(gpu.sync());
    for (size_t i = 0; i < rows.size(); i++) {
        if (got[i] == rows[i].expected) continue;
        char words[300];
        std::snprintf(words, sizeof words, "%s with %#llx, %#llx, %#llx is %#llx, not %#llx", rows[i].text, (unsigned long long)rows[i].a, (unsigned long long)rows[i].b,
                      (unsigned long long)rows[i].c, (unsigned long long)got[i], (unsigned long long)rows[i].expected);
        test::fail(file, line, words);
    }
}

#define ROWS(...) check(__FILE__, __LINE__, __VA_ARGS__)

}  // namespace

TEST(PtxIntegers) {
    ROWS({
        {"add.s32 %r32, %a32, %b32;", 0x7fffffff, 1, 0, 0x80000000},
        {"add.u16 %r16, %a16, %b16;", 0xffff, 2, 0, 1},
    });
}

TEST(PtxOfIlgpu) {
    const std::string text = "//@view 0 0 4\n//@view 1 0 4\n" + header + R"(
.visible .entry Kernel_Block(
	.param .align 8 .b8 _x_3886[16],
	.param .align 8 .b8 _y_3895[16]
)
.maxntid 64, 1, 1
.minnctapersm 2
{

	.shared .align 4 .b8 __shared_alloca0[256];

	.reg .pred	%p<4>;
	.reg .b32	%r<7>;
	.reg .b64	%rd<11>;
	.reg .f32	%f<8>;

	mov.b64	%rd5, __shared_alloca0;
	ld.param.b64	%rd6, [_x_3886];
	cvta.to.global.u64	%rd1, %rd6;
	ld.param.b64	%rd2, [_x_3886+8];
	ld.param.b64	%rd6, [_y_3895];
	cvta.to.global.u64	%rd3, %rd6;
	ld.param.b64	%rd4, [_y_3895+8];

	mov.b32	%r3, %tid.x;
	mul.wide.u32	%rd7, %r3, 4;
	add.u64	%rd6, %rd5, %rd7;
	mul.wide.u32	%rd8, %r3, 4;
	add.u64	%rd7, %rd1, %rd8;
	ld.global.f32	%f3, [%rd7];
	st.shared.f32	[%rd6], %f3;
	bar.sync	0;
	mov.f32	%f1, 0f00000000;
	mov.b32	%r1, 0;

	L_38080:
	setp.ge.s32	%p1, %r1, 64;
	@%p1 bra.uni	L_38081;

	mul.wide.u32	%rd9, %r1, 4;
	add.u64	%rd8, %rd5, %rd9;
	ld.shared.f32	%f4, [%rd8];
	add.f32	%f5, %f1, %f4;
	add.s32	%r4, %r1, 1;
	mov.f32	%f1, %f5;
	mov.b32	%r1, %r4;
	bra.uni	L_38080;

	L_38081:
	mov.b32	%r2, 16;
	mov.f32	%f2, %f1;

	L_38082:
	setp.le.s32	%p2, %r2, 0;
	@%p2 bra.uni	L_38083;

	shr.s32	%r5, %r2, 1;
	shfl.sync.bfly.b32	%f6, %f2, %r2, 31, 4294967295;
	add.f32	%f7, %f2, %f6;
	mov.b32	%r2, %r5;
	mov.f32	%f2, %f7;
	bra.uni	L_38082;

	L_38083:
	setp.eq.s32	%p3, %r3, 0;
	@%p3 bra	L_38085;

	L_38084:
	ret;

	L_38085:
	mov.b32	%r6, %ctaid.x;
	mul.wide.u32	%rd10, %r6, 4;
	add.u64	%rd9, %rd3, %rd10;
	st.global.f32	[%rd9], %f2;
	bra.uni	L_38084;

}
)";
    struct View {
        CUdeviceptr address;
        long long length;
    };
    for (const char* seed : {"0", "1", "2", "3"}) {
        cudasimConfigure("SEED", seed);
        Gpu gpu;
        Loaded loaded(text);
        EQUAL(CUDA_SUCCESS, loaded.code);
        CUfunction f = loaded.function("Kernel_Block");
        std::vector<float> x(64);
        float sum = 0;
        for (size_t i = 0; i < 64; i++) sum += x[i] = (float)i;
        View input{gpu.upload(x), 64}, output{gpu.alloc(12), 3};
        OK(gpu.launch(f, 3, 64, 0, input, output));
        for (float got : gpu.download<float>(output.address, 3)) EQUAL(32 * sum, got);
        OK(gpu.sync());
        int shared = 0, threads = 0, registers = 0;
        OK(cuFuncGetAttribute(&shared, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, f));
        OK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
        OK(cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, f));
        EQUAL(256, shared);
        EQUAL(64, threads);
        CHECK(registers >= 16 && registers < 64);
        EQUAL(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, gpu.launch(f, 1, 65, 0, input, output));

        View less{input.address, 63};
        OK(gpu.launch(f, 3, 64, 0, less, output));
        EQUAL(CUDA_ERROR_ILLEGAL_ADDRESS, gpu.sync());
        FAULT("Kernel_Block: line 35: read of 4 bytes at");
        FAULT("0 bytes behind the view in parameter 0 at byte 0 (63 elements of 4 bytes at");
    }
}
