using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Engine.Tests;

/// <summary>A tape uses its objects again; nobody may notice, and who holds on to them must.</summary>
public sealed class TapeTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 1);

    [Fact]
    public void A_tensor_of_the_recording_before_throws_when_it_is_used()
    {
        using Tape tape = new(_device);
        Tensor old = tape.Allocate([2, 3], name: "old");
        Tensor view = tape.Slice(old, 1, 1);
        tape.Reset();

        // As many tensors as before: none may be one of the old objects.
        Tensor[] next = [tape.Allocate([2, 3]), tape.Allocate([1, 3]), tape.Allocate([2, 3])];

        next.ShouldNotContain(old);
        next.ShouldNotContain(view);
        foreach (Tensor released in (Tensor[])[old, view])
        {
            ObjectDisposedException error = Should.Throw<ObjectDisposedException>(() => released.Read<float>());
            error.Message.ShouldContain("old Float32");
            error.Message.ShouldContain("tape");
            Should.Throw<ObjectDisposedException>(() => tape.Ops.Accumulate(released, next[0]));
        }
    }

    [Fact]
    public void A_disposed_tensor_throws_when_it_is_used()
    {
        Tensor tensor = Tensor.Zeros(_device, [3]);
        tensor.Dispose();
        tensor.Dispose();
        Should.Throw<ObjectDisposedException>(() => tensor.Read<float>());
    }

    [Fact]
    public void A_slice_shares_the_memory_of_its_tensor()
    {
        using Tape tape = new(_device);
        Tensor whole = tape.Allocate([4, 2]);
        whole.Write((ReadOnlySpan<float>)[0, 1, 2, 3, 4, 5, 6, 7]);
        Tensor middle = tape.Slice(whole, 1, 2);
        middle.Shape.ShouldBe([2, 2]);
        middle.Read<float>().ShouldBe([2, 3, 4, 5]);
        Should.Throw<TensorMismatchException>(() => tape.Slice(whole, 3, 2));
    }

    /// <summary>Recordings of other functions, lengths and shapes in between change nothing.</summary>
    [Fact]
    public void Every_recording_has_the_gradients_of_a_new_tape()
    {
        using Tape tape = new(_device) { Training = true };
        foreach (int[] program in (int[][])[[0, 1, 2], [2, 0], [1], [0, 1, 2], [1, 1, 0, 2, 2]])
        {
            using Tape fresh = new(_device) { Training = true };
            Gradient(tape, program, rows: program.Length + 1).ShouldBe(Gradient(fresh, program, rows: program.Length + 1));
            tape.Reset();
        }
    }

    [Fact]
    public void After_a_reset_no_tensor_has_a_gradient_or_wants_one()
    {
        using Tape tape = new(_device) { Training = true };
        for (int recording = 0; recording < 4; recording++)
        {
            Tensor x = tape.Allocate([2, 2]);
            x.RequiresGradient.ShouldBeFalse();
            x.Gradient.ShouldBeNull();
            x.RequiresGradient = true;
            x.Gradient = tape.Allocate([2, 2]);
            tape.Reset();
        }
    }

    public void Dispose() => _device.Dispose();

    /// <summary>The gradient of the input of a chain of functions.</summary>
    private static double[] Gradient(Tape tape, int[] program, int rows)
    {
        using Tensor x = Tensor.From(tape.Device, [rows, 3], Wave(rows * 3));
        x.RequiresGradient = true;
        Tensor y = x;
        foreach (int function in program)
        {
            y = function switch
            {
                0 => LinearFunction.Apply(tape, y, Weight(tape, y.Shape[-1]), null),
                1 => ActivationDropoutFunction.Apply(tape, y, relu: true, LayerDropout.None),
                _ => ConcatFunction.Apply(tape, y, y),
            };
        }

        y.Gradient = tape.Allocate(y.Shape);
        y.Gradient.Write(Wave((int)y.Count));
        tape.Backward();
        return x.Gradient!.ToDoubles();
    }

    private static Tensor Weight(Tape tape, int inputs)
    {
        Tensor weight = tape.Allocate([4, inputs]);
        weight.Write(Wave(4 * inputs));
        return weight;
    }

    private static double[] Wave(int count) => [.. Enumerable.Range(0, count).Select(i => Math.Sin(1.0 + i))];

    /// <summary>What nothing that was seeded depends on has the gradient 0.</summary>
    [Fact]
    public void An_output_that_the_loss_does_not_use_is_passed_over()
    {
        using var device = new CpuDevice(1);
        using var tape = new Tape(device) { Training = true };
        using Tensor x = Tensor.From(device, [2], [1f, 2]);
        x.RequiresGradient = true;
        Tensor used = Fused.Apply<Silu>(tape, x);
        _ = Fused.Apply<Gelu>(tape, x);
        used.Gradient = tape.Allocate(used.Shape);
        used.Gradient.Write([1f, 1]);
        tape.Backward();

        x.Gradient!.Read<float>().ShouldBe([0.92767f, 1.09078f], 1e-4);
    }

    [Fact]
    public void A_pass_that_nothing_seeds_or_that_is_seeded_wrongly_is_refused()
    {
        using var device = new CpuDevice(1);
        using var tape = new Tape(device) { Training = true };
        using Tensor x = Tensor.From(device, [2], [1f, 2]);
        x.RequiresGradient = true;
        Tensor y = Fused.Apply<Silu>(tape, x);
        Should.Throw<InvalidOperationException>(tape.Backward).Message.ShouldContain("No output has a gradient");

        y.Gradient = tape.Allocate([3]);
        Should.Throw<TensorMismatchException>(tape.Backward).Message.ShouldContain("has shape [3]; the output has [2]");
    }
}
