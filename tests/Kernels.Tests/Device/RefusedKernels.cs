using CudaTrainer.Kernels.Device;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Methods that cannot be kernels, one reason each.</summary>
internal static unsafe class RefusedKernels
{
    [GpuKernel(64)]
    public static void Throws(TestKernels.OneArray a)
    {
        if (a.Numbers.Start[0] != 0)
        {
            throw new InvalidOperationException("no");
        }
    }

    [GpuKernel(64)]
    public static void UsesHalf(TestKernels.OneArray a) => a.Numbers.Start[0] = (int)(float)(Half)(a.Numbers.Start[1] * 0.1f);

    [GpuKernel(64)]
    public static void CountsNatively(TestKernels.OneArray a)
    {
        for (nint i = 0; i < 4; i++)
        {
            a.Numbers.Start[i] = 1;
        }
    }

    [GpuKernel(64)]
    public static void CallsWhatCountsNatively(TestKernels.OneArray a) => a.Numbers.Start[0] = Through<NativeCounter>(a.Numbers.Start[1]);

    [GpuKernel(64)]
    public static void CallsWhatTakesANativeInteger(TestKernels.OneArray a) => a.Numbers.Start[0] = Lower(a.Numbers.Start[1]);

    [GpuKernel(64)]
    public static void CallsWhatCallsItself(TestKernels.OneArray a) => a.Numbers.Start[0] = Factorial(a.Numbers.Start[1]);

    [GpuKernel(64)]
    public static void TakesAClass(string text)
    {
    }

    [GpuKernel(64)]
    public static void TakesABool(BoolArgument a)
    {
    }

    [GpuKernel(64)]
    public static void TakesAPointer(PointerArgument a)
    {
    }

    [GpuKernel(64)]
    public static void TakesTwo(TestKernels.OneArray a, int b)
    {
    }

    [GpuKernel(64)]
    public static int Returns(TestKernels.OneArray a) => 0;

    public static void HasNoAttribute(TestKernels.OneArray a)
    {
    }

    [GpuKernel(64)]
    public static void TakesUntyped(UntypedArgument a)
    {
    }

    public readonly struct BoolArgument(bool value)
    {
        public readonly bool Value = value;
    }

    public readonly struct PointerArgument(int* value)
    {
        public readonly int* Value = value;
    }

    public readonly struct UntypedArgument(GpuArray value)
    {
        public readonly GpuArray Value = value;
    }

    private static int Through<T>(int value)
        where T : struct, ICounter => T.Count(value);

    private static int Lower(nint value) => (int)value;

    private static int Factorial(int value) => value < 2 ? 1 : value * Factorial(value - 1);

    private interface ICounter
    {
        static abstract int Count(int value);
    }

    private readonly struct NativeCounter : ICounter
    {
        public static int Count(int value)
        {
            int sum = 0;
            for (nint i = 0; i < value; i++)
            {
                sum += value;
            }

            return sum;
        }
    }
}
