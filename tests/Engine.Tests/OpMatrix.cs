using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Checks;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Cuda;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Engine.Tests;

/// <summary>
/// Every op of the registry on every device, by one body: only how the device is opened and the type of activations differ.
/// </summary>
internal static class OpMatrix
{
    private static readonly Dictionary<string, (Func<IDevice> Open, DType Type)> Places = [];

    static OpMatrix()
    {
        // The reference rounds only where it stores.
        Places["reference"] = (() => new ReferenceDevice(), DType.Float32);
        Places["reference fp16"] = (() => new ReferenceDevice(), DType.Float16);
        foreach (SimdLevel level in SimdSelection.Available)
        {
            foreach (int threads in (int[])[1, 2, 3])
            {
                Places[$"cpu {level} x{threads}"] = (() => new CpuDevice(threads, level: level), DType.Float32);
            }
        }

        foreach (LstmPath lstm in (LstmPath[])[LstmPath.Fused, LstmPath.Cudnn])
        {
            Places[$"cuda {lstm}"] = (() => CudaSimulator.Open(new CudaDeviceOptions(Lstm: lstm)), DType.Float32);
            Places[$"cuda {lstm} fp16"] = (() => CudaSimulator.Open(new CudaDeviceOptions(Lstm: lstm)), DType.Float16);
        }
    }

    /// <summary>Each op with each place whose name begins so; the LSTM of cuDNN computes nothing but the LSTM.</summary>
    public static TheoryData<string, string> On(params string[] devices)
    {
        TheoryData<string, string> data = [];
        foreach (string op in OpCases.All().Select(op => op.Name))
        {
            foreach (string place in Places.Keys.Where(place => devices.Contains(place.Split(' ')[0])))
            {
                if (!place.Contains(nameof(LstmPath.Cudnn), StringComparison.Ordinal) || op.StartsWith("Lstm", StringComparison.Ordinal))
                {
                    data.Add(op, place);
                }
            }
        }

        return data;
    }

    public static OpCase Case(string name) => OpCases.All().Single(op => op.Name == name);

    /// <summary>Fails unless the op, forward and backward, is what the reference computes in double.</summary>
    public static void Check(string op, string place)
    {
        using IDevice device = Places[place].Open();
        GradientCheckRow row = GradientCheck.AgainstReference(Case(op), device, Places[place].Type);
        row.Passed.ShouldBeTrue(row.ToString());
    }
}
