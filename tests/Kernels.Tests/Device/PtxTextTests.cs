using CudaTrainer.Kernels.Device;

namespace CudaTrainer.Kernels.Tests;

/// <summary>What is done to the compiler's text, on texts written for it.</summary>
public sealed class PtxTextTests
{
    private static readonly KernelSource Kernel = new(((GpuKernelMethod<TestKernels.OneArray>)TestKernels.Bounded).Method);

    [Fact]
    public void Names_are_ours_and_labels_count_from_zero()
    {
        string text = Finish("\tbra L_4711;\nL_4711:\n\tbra L_12;\nL_12:\n\tld.param.b64\t%rd1, [p_bounded_17];");
        text.ShouldContain(".visible .entry TestKernels_Bounded(");
        text.ShouldContain(".b8 arguments[16]");
        text.ShouldContain("\tbra L0;\nL0:\n\tbra L1;\nL1:\n\tld.param.b64\t%rd1, [arguments];");
        text.ShouldNotContain("Kernel_17");
        text.ShouldStartWith("// TestKernels_Bounded: CudaTrainer.Kernels.Tests.TestKernels.Bounded, 64 threads a block\n//@view 0 0 4\n");
    }

    [Fact]
    public void An_argument_structure_of_another_size_is_refused()
    {
        KernelRefusedException refused = Should.Throw<KernelRefusedException>(
            () => PtxText.Finish(Kernel, Whole(string.Empty).Replace("[16]", "[24]", StringComparison.Ordinal)));
        refused.Construct.ShouldBe("its argument structure OneArray, which has 16 bytes here and 24 on the GPU");
    }

    [Theory]
    [InlineData("ld.f32\t%f1, [%rd1];", "ld.global.f32\t%f1, [%rd1];")]
    [InlineData("@%p1 st.b32\t[%rd1+4], %r1;", "@%p1 st.global.b32\t[%rd1+4], %r1;")]
    [InlineData("@!%p12 ld.v2.b32\t{%r1, %r2}, [%rd1];", "@!%p12 ld.global.v2.b32\t{%r1, %r2}, [%rd1];")]
    [InlineData("st.u8\t[%rd1], %r1;", "st.global.u8\t[%rd1], %r1;")]
    [InlineData("ld.shared.f32\t%f1, [%rd1];", "ld.shared.f32\t%f1, [%rd1];")]
    [InlineData("ld.param.b64\t%rd1, [x];", "ld.param.b64\t%rd1, [x];")]
    [InlineData("st.local.b32\t[%rd1], %r1;", "st.local.b32\t[%rd1], %r1;")]
    public void An_access_without_a_space_is_global(string line, string expected) => Finish("\t" + line).ShouldContain($"\n\t{expected}\n");

    [Fact]
    public void Four_words_in_a_row_are_read_and_written_as_one()
    {
        Joined(Loads(0, 4, 8, 12)).ShouldBe(["\tld.global.v4.f32\t{%f1, %f2, %f3, %f4}, [%rd1];"]);
        Joined(Loads(16, 20, 24, 28)).ShouldBe(["\tld.global.v4.f32\t{%f1, %f2, %f3, %f4}, [%rd1+16];"]);
        Joined(Stores("%rd7", 0, 4, 8, 12)).ShouldBe(["\tst.global.v4.b32\t[%rd7], {%r1, %r2, %r3, %r4};"]);
    }

    [Fact]
    public void Accesses_in_which_a_pointer_lost_its_space_are_joined_too() =>
        Joined([.. Loads(0, 4, 8, 12).Select(line => line.Replace(".global", string.Empty, StringComparison.Ordinal))])
            .ShouldBe(["\tld.global.v4.f32\t{%f1, %f2, %f3, %f4}, [%rd1];"]);

    [Fact]
    public void Eight_words_are_two_accesses() => Joined(Loads(0, 4, 8, 12, 16, 20, 24, 28)).ShouldBe(
        ["\tld.global.v4.f32\t{%f1, %f2, %f3, %f4}, [%rd1];", "\tld.global.v4.f32\t{%f5, %f6, %f7, %f8}, [%rd1+16];"]);

    [Fact]
    public void Three_words_stay_three()
    {
        AreLeft(Loads(0, 4, 8));
        AreLeft([.. Loads(0, 4, 8), "\tadd.f32\t%f9, %f1, %f2;"]);
    }

    [Fact]
    public void Words_with_a_gap_or_in_another_order_stay_apart()
    {
        AreLeft(Loads(0, 4, 12, 16));
        AreLeft(Loads(0, 8, 4, 12));
        AreLeft(Loads(12, 8, 4, 0));
        AreLeft(Loads(0, 0, 4, 8));
    }

    [Fact]
    public void Words_of_two_bases_types_spaces_or_directions_stay_apart()
    {
        string[] four = Loads(0, 4, 8, 12);
        AreLeft([.. four[..3], four[3].Replace("%rd1", "%rd2", StringComparison.Ordinal)]);
        AreLeft([.. four[..3], four[3].Replace("f32", "b32", StringComparison.Ordinal)]);
        AreLeft([.. four[..3], four[3].Replace("global", "shared", StringComparison.Ordinal)]);
        AreLeft([.. four[..3], Stores("%rd1", 0, 4, 8, 12)[3]]);
        AreLeft([.. four.Select(line => line.Replace("global", "shared", StringComparison.Ordinal))]);
        AreLeft([.. four.Select(line => line.Replace("f32", "f64", StringComparison.Ordinal))]);
    }

    [Fact]
    public void Words_stay_apart_where_anything_comes_between()
    {
        string[] four = Loads(0, 4, 8, 12);
        AreLeft([.. four[..2], "\tadd.s64\t%rd1, %rd1, 64;", .. four[2..]]);
        AreLeft([.. four[..2], "L3:", .. four[2..]]);
        AreLeft([.. four[..3], "\t@%p1 ld.global.f32\t%f4, [%rd1+12];"]);
    }

    [Fact]
    public void Words_stay_apart_where_one_of_them_overwrites_the_address()
    {
        for (int i = 0; i < 4; i++)
        {
            string[] four = [.. Loads(0, 4, 8, 12).Select(line => line.Replace("%rd1", "%r1", StringComparison.Ordinal))];
            four[i] = four[i].Replace($"%f{i + 1}", "%r1", StringComparison.Ordinal);
            AreLeft(four);
        }
    }

    [Fact]
    public void A_joined_access_may_begin_behind_a_single_word() => Joined(Loads(0, 16, 20, 24, 28)).ShouldBe(
        ["\tld.global.f32\t%f1, [%rd1];", "\tld.global.v4.f32\t{%f2, %f3, %f4, %f5}, [%rd1+16];"]);

    [Fact]
    public void A_slot_of_local_memory_becomes_a_register()
    {
        PtxSlots.ToRegisters(
        [
            "\t.local .align 4 .b8 __local_depot5[4];",
            "\tmov.b64\t%rd2, __local_depot5;",
            "\tst.local.f32\t[%rd2], %f1;",
            "\tadd.f32\t%f2, %f1, %f1;",
            "\tld.local.f32\t%f3, [%rd2];",
        ]).ShouldBe(["\t.reg .f32 %slot5;", "\tmov.f32\t%slot5, %f1;", "\tadd.f32\t%f2, %f1, %f1;", "\tmov.f32\t%f3, %slot5;"]);
    }

    [Fact]
    public void A_slot_that_nobody_uses_goes() =>
        PtxSlots.ToRegisters(["\t.local .align 4 .b8 __local_depot1[4];", "\tmov.b64\t%rd2, __local_depot1;", "\tret;"])
            .ShouldBe(["\tret;"]);

    [Theory]
    [InlineData("\tadd.s64\t%rd3, %rd2, 4;")]
    [InlineData("\tst.global.b64\t[%rd9], %rd2;")]
    [InlineData("\tld.local.b32\t%r3, [%rd2];")]
    [InlineData("\tld.local.v2.f32\t{%f3, %f4}, [%rd2];")]
    [InlineData("\tadd.s64\t%rd2, %rd2, 4;")]
    public void A_slot_whose_address_goes_elsewhere_or_that_is_read_otherwise_stays(string line)
    {
        string[] lines =
            ["\t.local .align 4 .b8 __local_depot1[4];", "\tmov.b64\t%rd2, __local_depot1;", "\tst.local.f32\t[%rd2], %f1;", line];
        PtxSlots.ToRegisters(lines).ShouldBe(lines);
    }

    [Fact]
    public void A_slot_whose_address_is_kept_in_another_slot_stays()
    {
        PtxSlots.ToRegisters(
        [
            "\t.local .align 4 .b8 __local_depot1[4];",
            "\t.local .align 8 .b8 __local_depot2[8];",
            "\tmov.b64\t%rd1, __local_depot1;",
            "\tmov.b64\t%rd2, __local_depot2;",
            "\tst.local.b64\t[%rd2], %rd1;",
        ]).ShouldBe(
        [
            "\t.local .align 4 .b8 __local_depot1[4];",
            "\t.reg .b64 %slot2;",
            "\tmov.b64\t%rd1, __local_depot1;",
            "\tmov.b64\t%slot2, %rd1;",
        ]);
    }

    [Theory]
    [InlineData("\tcvta.local.u64\t%rd1, %rd2;")]
    [InlineData("\tcvta.shared.u64\t%rd1, %rd2;")]
    public void Addresses_that_could_be_taken_for_global_ones_are_refused(string line) =>
        Should.Throw<KernelRefusedException>(() => Joined([line])).Message.ShouldContain("SharedMemory.Allocate");

    [Fact]
    public void A_register_that_gets_another_value_is_no_slots_any_more()
    {
        PtxSlots.ToRegisters(
        [
            "\t.local .align 4 .b8 __local_depot1[4];",
            "\tmov.b64\t%rd2, __local_depot1;",
            "\tst.local.f32\t[%rd2], %f1;",
            "\tmov.b64\t%rd2, %rd7;",
            "\tst.global.f32\t[%rd2], %f1;",
        ]).ShouldBe(["\t.reg .f32 %slot1;", "\tmov.f32\t%slot1, %f1;", "\tmov.b64\t%rd2, %rd7;", "\tst.global.f32\t[%rd2], %f1;"]);
    }

    private static string[] Loads(params int[] offsets) =>
        [.. offsets.Select((offset, i) => $"\tld.global.f32\t%f{i + 1}, [%rd1{(offset == 0 ? string.Empty : $"+{offset}")}];")];

    private static string[] Stores(string register, params int[] offsets) =>
        [.. offsets.Select((offset, i) => $"\tst.global.b32\t[{register}{(offset == 0 ? string.Empty : $"+{offset}")}], %r{i + 1};")];

    private static void AreLeft(string[] lines) => Joined(lines).ShouldBe(lines);

    /// <summary>The lines of the body after everything that is done to them.</summary>
    private static string[] Joined(string[] lines)
    {
        string text = Finish(string.Join('\n', lines));
        int start = text.IndexOf("{\n", StringComparison.Ordinal) + 2;
        return text[start..text.LastIndexOf("\n}", StringComparison.Ordinal)].Split('\n');
    }

    private static string Finish(string body) => PtxText.Finish(Kernel, Whole(body));

    private static string Whole(string body) => $$"""
        .version 7.0
        .target sm_80
        .address_size 64

        .visible .entry Kernel_17(
        	.param .align 8 .b8 p_bounded_17[16]
        )
        {
        {{body}}
        }
        """;
}
