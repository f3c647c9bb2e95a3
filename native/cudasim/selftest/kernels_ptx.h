// Small kernels in PTX, for tests of whatever surrounds a launch.
#pragma once

#include "ptx.h"

namespace test {

/// A kernel with registers of all kinds. The thread's number in the grid is in %i, and four times that in %at.
inline std::string entry(const std::string& name, const std::string& parameters, const std::string& body) {
    return ".visible .entry " + name + "(" + parameters + R"()
{
	.reg .pred %p<4>;
	.reg .b16 %h<4>;
	.reg .b32 %r<12>, %i, %thread;
	.reg .b64 %x, %y, %z, %at, %rd<8>;
	.reg .f32 %f<8>;
	mov.u32 %thread, %tid.x;
	mov.u32 %r0, %ctaid.x;
	mov.u32 %i, %ntid.x;
	mad.lo.u32 %i, %i, %r0, %thread;
	mul.wide.u32 %at, %i, 4;
)" + body + "\n\tret;\n}\n";
}

inline const std::string pointerX = "ld.param.u64 %x, [x];\nadd.u64 %x, %x, %at;\n";
inline const std::string pointerY = "ld.param.u64 %y, [y];\nadd.u64 %y, %y, %at;\n";
inline const std::string pointerZ = "ld.param.u64 %z, [z];\nadd.u64 %z, %z, %at;\n";
inline const std::string loadX = pointerX + "ld.global.u32 %r1, [%x];\n";
inline const std::string loadY = pointerY + "ld.global.u32 %r2, [%y];\n";
inline const std::string loadValue = "ld.param.u32 %r2, [value];\n";

/// One thread for each of the numbers in x, y and z, all of 32 bits.
inline const std::string kernels = ptxHeader +
    // x[i] = value
    entry("fill", ".param .u64 x, .param .u32 value", pointerX + loadValue + "st.global.u32 [%x], %r2;") +
    // x[i] += value
    entry("increase", ".param .u64 x, .param .u32 value", loadX + loadValue + "add.u32 %r1, %r1, %r2;\nst.global.u32 [%x], %r1;") +
    // x[i] *= value
    entry("multiply", ".param .u64 x, .param .u32 value", loadX + loadValue + "mul.lo.u32 %r1, %r1, %r2;\nst.global.u32 [%x], %r1;") +
    // y[i] += x[i]
    entry("add", ".param .u64 x, .param .u64 y", loadX + loadY + "add.u32 %r2, %r2, %r1;\nst.global.u32 [%y], %r2;") +
    // z[i] = 1000 x[i] + y[i]
    entry("combine", ".param .u64 x, .param .u64 y, .param .u64 z",
        loadX + loadY + pointerZ + "mad.lo.u32 %r1, %r1, 1000, %r2;\nst.global.u32 [%z], %r1;") +
    // x[0] = 1.0f, if there is an x
    entry("put", ".param .u64 x", "ld.param.u64 %x, [x];\nsetp.ne.u64 %p1, %x, 0;\n@%p1 st.global.f32 [%x], 0f3F800000;");

}  // namespace test
