using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>The hops of a ring all-reduce. Where "arriving" may be another GPU's memory, peer access is enabled.</summary>
public sealed class AllReduce(KernelLibrary library)
{
    private readonly SingleKernel _addSingle = new(library, "all_reduce.cu", "ring_add_f32");
    private readonly SingleKernel _addHalf = new(library, "all_reduce.cu", "ring_add_f16");
    private readonly SingleKernel _takeHalf = new(library, "all_reduce.cu", "ring_take_f16");

    /// <summary>values += arriving.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="count">Elements.</param>
    /// <param name="arriving">[count], float; may be another GPU's memory.</param>
    /// <param name="values">[count], float, updated.</param>
    public void Add(CudaStream stream, long count, nint arriving, nint values)
    {
        if (count == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(count);
        arguments.Add(arriving);
        arguments.Add(values);
        arguments.Add(LaunchSize.Aligned(arriving, values));
        _addSingle.Value.Launch(stream, LaunchSize.Strided(LaunchSize.DivideUp(count, 4)), new Grid(LaunchSize.Threads), 0, arguments);
    }

    /// <summary>values += arriving; departing = values in half precision.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="count">Elements.</param>
    /// <param name="arriving">[count], half; may be another GPU's memory.</param>
    /// <param name="values">[count], float, updated.</param>
    /// <param name="departing">Output: [count], half.</param>
    /// <param name="isLast">The sum is complete: values keep what departing was rounded to.</param>
    public void AddHalf(CudaStream stream, long count, nint arriving, nint values, nint departing, bool isLast)
    {
        if (count == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(count);
        arguments.Add(arriving);
        arguments.Add(values);
        arguments.Add(departing);
        arguments.Add(isLast ? 1 : 0);
        arguments.Add(LaunchSize.Aligned(arriving, values, departing));
        _addHalf.Value.Launch(stream, LaunchSize.Strided(LaunchSize.DivideUp(count, 8)), new Grid(LaunchSize.Threads), 0, arguments);
    }

    /// <summary>values = departing = arriving.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="count">Elements.</param>
    /// <param name="arriving">[count], half; may be another GPU's memory.</param>
    /// <param name="values">Output: [count], float.</param>
    /// <param name="departing">Output: [count], half.</param>
    public void TakeHalf(CudaStream stream, long count, nint arriving, nint values, nint departing)
    {
        if (count == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(count);
        arguments.Add(arriving);
        arguments.Add(values);
        arguments.Add(departing);
        arguments.Add(LaunchSize.Aligned(arriving, values, departing));
        _takeHalf.Value.Launch(stream, LaunchSize.Strided(LaunchSize.DivideUp(count, 8)), new Grid(LaunchSize.Threads), 0, arguments);
    }
}
