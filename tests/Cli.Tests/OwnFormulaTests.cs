using System.Text.Json;
using CudaTrainer.Kernels.Formulas;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace CudaTrainer.Cli.Tests;

/// <summary>Formulas of somebody's own assembly, checked and timed by the built program.</summary>
public sealed class OwnFormulaTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Formulas_of_an_assembly_are_checked_with_their_options_and_ranges()
    {
        Compile("""
            public readonly record struct Root(float Power) : IFormula1, IFormulaExample<Root>
            {
                public static Root Example => new(0.25f);
                public T Forward<T>([Between(0.5f, 3)] T x) where T : unmanaged, IReal<T> => T.Pow(x, Power) * T.Log(x);
            }

            public readonly struct Product : IFormula2
            {
                public T Forward<T>(T a, T b) where T : unmanaged, IReal<T> => a * T.Tanh(b);
            }

            [Between(0.5f, 3, Operand = 1)]
            public readonly struct Polar : IMultiOutputFormula
            {
                public static int Operands => 2;
                public static int Outputs => 2;
                public T Forward<T>(int output, Operands<T> x) where T : unmanaged, IReal<T> =>
                    output == 0 ? T.Sqrt(x.A * x.A + x.B * x.B) : T.Log(x.B) * x.A;
            }
            """);
        CommandOutcome checks = Check();

        checks.ExitCode.ShouldBe(0, checks.Output + checks.Error);
        checks.Output.ShouldMatch(@"Root +cpu .* ok");
        checks.Output.ShouldMatch(@"Product per row +cpu .* ok");
        checks.Output.ShouldMatch(@"Polar per channel +cpu .* ok");
        checks.Output.ShouldNotContain("Linear");

        CommandOutcome timed = CommandRunner.RunIn(_folder.Path, [], "bench-op", "--ops", "ops.dll", "--device", "cpu", "--megabytes", "1");
        timed.ExitCode.ShouldBe(0, timed.Error);
        timed.Output.ShouldMatch(@"Polar +forward and backward +[\d.]+ +[\d.]+% +[\d.]+");
    }

    [Fact]
    public void What_is_not_a_number_says_what_to_do()
    {
        Compile("public struct Roots : IFormula1 { public T Forward<T>(T x) where T : unmanaged, IReal<T> => T.Sqrt(x); }");
        CommandOutcome checks = Check();

        checks.ExitCode.ShouldBe(1);
        checks.Output.ShouldContain("OFF in a: not a number where operands were drawn; [Between] says where they lie");
    }

    /// <summary>One that is not the same at each call is neither timed nor in the way of the others.</summary>
    [Fact]
    public void One_wrong_formula_does_not_keep_the_others_from_being_timed()
    {
        Compile("""
            public struct Doubled : IFormula1 { public T Forward<T>(T x) where T : unmanaged, IReal<T> => x + x; }

            public struct Another : IFormula1
            {
                private static float _calls;
                public T Forward<T>(T x) where T : unmanaged, IReal<T> => x * (_calls += 1);
            }
            """);
        CommandOutcome timed = CommandRunner.RunIn(_folder.Path, [], "bench-op", "--ops", "ops.dll", "--device", "cpu", "--megabytes", "1");

        timed.ExitCode.ShouldBe(1);
        timed.Output.ShouldMatch(@"Doubled +forward +[\d.]+");
        timed.Output.ShouldNotContain("Another");
        timed.Error.ShouldContain("Another: the fused op differs from its operations one by one");
    }

    [Theory]
    [InlineData("Operands<T>.Of(2f * a * b, a * a, b, b)", 0, "Square +cpu .* ok")]
    [InlineData("Operands<T>.Of(2f * a * b, a, b, b)", 1, "Square +finite differences .* OFF in b")]
    [InlineData("Operands<T>.Of(a, a * a, b, b)", 1, "Square +finite differences .* OFF in a")]
    public void Slopes_written_by_hand_are_used_and_wrong_ones_found(string slopes, int code, string expected)
    {
        Compile($$"""
            public readonly struct Square : IFormula2, IFormulaSlopes
            {
                public T Forward<T>(T a, T b) where T : unmanaged, IReal<T> => a * a * b;
                public Operands<T> Slopes<T>(T a, T b, T c, T d) where T : unmanaged, IReal<T> => {{slopes}};
            }
            """);
        CommandOutcome checks = Check();

        checks.ExitCode.ShouldBe(code, checks.Output + checks.Error);
        checks.Output.ShouldMatch(expected);
    }

    /// <summary>The slope of |x| where x is 0 is neither of its two.</summary>
    [Fact]
    public void Kinks_are_left_out_and_said()
    {
        Compile("""
            public readonly struct Kink : IFormula1
            {
                public T Forward<T>([Between(0, 0)] T x) where T : unmanaged, IReal<T> => T.Abs(x);
            }
            """);
        CommandOutcome checks = Check();

        checks.Output.ShouldMatch(@"Kink +finite differences .* ok but for \d+ kinks");
    }

    /// <summary>Between −1 and 1 any slope would do; 5 is none.</summary>
    [Fact]
    public void A_kink_excuses_no_slope_beyond_its_sides()
    {
        Compile("""
            public readonly struct Kink : IFormula1, IFormulaSlopes
            {
                public T Forward<T>([Between(0, 0)] T x) where T : unmanaged, IReal<T> => T.Abs(x);
                public Operands<T> Slopes<T>(T a, T b, T c, T d) where T : unmanaged, IReal<T> => Operands<T>.Of(5f, b, c, d);
            }
            """);
        CommandOutcome checks = Check();

        checks.ExitCode.ShouldBe(1);
        checks.Output.ShouldMatch("Kink +finite differences .* OFF in a");
    }

    [Theory]
    [InlineData("public struct Named : IFormula1 { public string Name; " + Forward + " }", "has the field Named.Name of type String")]
    [InlineData("public class Heavy : IFormula1 { " + Forward + " }", "Heavy in 'ops.dll' is a class")]
    [InlineData("public struct Wrapped<TMine> : IFormula1 { " + Forward + " }", "has type parameters of its own")]
    [InlineData("public struct Angry : IFormula1, IFormulaExample<Angry> { "
        + "public static Angry Example => throw new System.Exception(\"no\"); " + Forward + " }", "throws when it is made or computed: no")]
    [InlineData("public struct Flagged : IFormula1 { public bool Is; " + Forward + " }", "has the field Flagged.Is of type Boolean")]
    [InlineData("public struct Two : IFormula1, IFormula2 { " + Forward
        + " public T Forward<T>(T x, T y) where T : unmanaged, IReal<T> => x; }", "is more than one kind of formula")]
    [InlineData("public struct Angry : IFormula1 { public T Forward<T>(T x) where T : unmanaged, IReal<T> => "
        + "throw new System.Exception(\"no\"); }", "Angry in 'ops.dll' throws when it is made or computed: no")]
    [InlineData("public struct Back : IFormula1 { public T Forward<T>([Between(2, 1)] T x) where T : unmanaged, IReal<T> => x; }",
        "says that operand 1 lies between 2 and 1")]
    [InlineData("public class Nothing { }", "has no formulas")]
    [InlineData("public struct Many : IRowFormula { public static int Operands => 1; public static int Sums => 4; " + Rows + " }",
        "has 4 sums; it can have 1 to 3")]
    [InlineData("public struct Wide : IRowFormula { public static int Operands => 5; public static int Sums => 1; " + Rows + " }",
        "has 5 operands; it can have 1 to 4")]
    public void What_cannot_be_an_op_is_refused_with_the_rule(string source, string expected)
    {
        Compile(source);
        CommandOutcome checks = Check();

        checks.ExitCode.ShouldBe(1);
        checks.Error.ShouldContain(expected);
        checks.Error.ShouldContain("hint: ");
    }

    [Fact]
    public void A_formula_is_timed_against_a_copy_and_against_its_operations() => CheckTimes("cpu");

    [Fact]
    [Trait("Category", "Slow")]
    public void A_formula_is_timed_on_GPUs_as_well() => CheckTimes("cuda");

    [Fact]
    public void Formulas_that_come_with_the_program_are_timed_too()
    {
        CommandOutcome timed = CommandRunner.RunIn(_folder.Path, [], "bench-op", "--megabytes", "1", "--device", "cpu");

        timed.ExitCode.ShouldBe(0, timed.Error);
        foreach (string formula in new[] { "Add", "Gelu", "Huber", "LayerNorm", "ScaleShiftRelu", "Silu", "SoftmaxCrossEntropy", "SwiGlu" })
        {
            timed.Output.ShouldMatch($@"{formula} +forward +[\d.]+ +[\d.]+% +[\d.]+");
        }
    }

    [Fact]
    public void A_folder_of_sources_is_compiled_and_says_where_it_does_not()
    {
        string folder = Directory.CreateDirectory(_folder.File("sources")).FullName;
        CommandOutcome none = CommandRunner.RunIn(_folder.Path, [], "gradcheck", "--ops", "sources", "--device", "cpu");
        none.ExitCode.ShouldBe(1);
        none.Error.ShouldContain("'sources' has no .cs files");

        File.WriteAllText(Path.Combine(folder, "Mean.cs"), "using CudaTrainer.Kernels.Formulas;\n"
            + $"public readonly struct Mean : IRowFormula {{ public static int Operands => 1; public static int Sums => 1; {Rows} }}");
        CommandOutcome checks = CommandRunner.RunIn(_folder.Path, [], "gradcheck", "--ops", "sources", "--device", "cpu");
        checks.ExitCode.ShouldBe(0, checks.Error);
        checks.Output.ShouldMatch("Mean, long rows +cpu .* ok");

        File.WriteAllText(Path.Combine(folder, "Wrong.cs"), "public struct Wrong { int Two() => 2 }");
        CommandOutcome wrong = CommandRunner.RunIn(_folder.Path, [], "gradcheck", "--ops", "sources", "--device", "cpu");
        wrong.ExitCode.ShouldBe(1);
        wrong.Error.ShouldContain("'sources' does not compile: Wrong.cs(1,38): error CS1002: ; expected");
    }

    [Fact]
    public void What_is_no_assembly_is_refused()
    {
        File.WriteAllText(_folder.File("ops.dll"), "no assembly");
        Check().Error.ShouldContain("'ops.dll' is no .NET assembly");
        File.Delete(_folder.File("ops.dll"));
        Check().Error.ShouldContain("'ops.dll' does not exist");
    }

    public void Dispose() => _folder.Dispose();

    private const string Rows = "public static bool NeedsMaximum => false; public static bool IsPerRow => true; "
        + "public T Term<T>(int sum, Operands<T> x, Row<T> row) where T : unmanaged, IReal<T> => x.A; "
        + "public T Finish<T>(int sum, T total, T count) where T : unmanaged, IReal<T> => total / count; "
        + "public T Forward<T>(Operands<T> x, Row<T> row) where T : unmanaged, IReal<T> => row.First;";

    private const string Forward = "public T Forward<T>(T x) where T : unmanaged, IReal<T> => x;";

    private void CheckTimes(string device)
    {
        Compile("""
            public readonly record struct Everything(float Half) : IFormula3, IFormulaExample<Everything>
            {
                public static Everything Example => new(0.5f);
                public T Forward<T>(T a, T b, T c) where T : unmanaged, IReal<T> =>
                    T.SelectGreater(a, 0f, T.Sqrt(a * a + 1f) / (2f + T.Exp(b)), -T.Log1p(T.Abs(a))) + T.Pow(T.Abs(a) + Half, T.Sigmoid(c))
                        + T.Max(T.Tanh(a), T.Min(b, T.Erf(a))) - T.Relu(a - b) * T.ReciprocalSqrt(1f + a * a) + T.Log(2f + T.Abs(a));
            }
            """);
        CommandOutcome timed = CommandRunner.RunIn(
            _folder.Path, device == "cuda" ? CudaTests.Simulated : [],
            "bench-op", "--ops", "ops.dll", "--device", device, "--megabytes", "1", "--json");

        timed.ExitCode.ShouldBe(0, timed.Error);
        using var timings = JsonDocument.Parse(timed.Output);
        timings.RootElement.EnumerateArray().Select(timing => timing.GetProperty("pass").GetString())
            .ShouldBe(["forward", "forward and backward"]);
        foreach (JsonElement timing in timings.RootElement.EnumerateArray())
        {
            timing.GetProperty("formula").GetString().ShouldBe("Everything");
            timing.GetProperty("of_copy").GetDouble().ShouldBeGreaterThan(0);
            timing.GetProperty("times_unfused").GetDouble().ShouldBeGreaterThan(0);
        }
    }

    private CommandOutcome Check() => CommandRunner.RunIn(_folder.Path, [], "gradcheck", "--ops", "ops.dll", "--device", "cpu");

    private void Compile(string source)
    {
        string framework = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        var compilation = CSharpCompilation.Create("ops", [CSharpSyntaxTree.ParseText($"using CudaTrainer.Kernels.Formulas;\n{source}")],
            [
                MetadataReference.CreateFromFile(typeof(object).Assembly.Location),
                MetadataReference.CreateFromFile(Path.Combine(framework, "System.Runtime.dll")),
                MetadataReference.CreateFromFile(typeof(IFusion).Assembly.Location),
            ],
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary));
        compilation.Emit(_folder.File("ops.dll")).Success.ShouldBeTrue();
    }
}
