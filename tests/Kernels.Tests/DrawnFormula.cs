using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// A formula that is data, so that thousands of them are one kernel: steps over four numbers, of which three are the operands. Every step
/// keeps its result within reach of single precision.
/// </summary>
/// <param name="Steps">Four steps, 16 bits each: operation, two numbers and where the result goes.</param>
/// <param name="Constant">The fourth number.</param>
public readonly record struct DrawnFormula(ulong Steps, float Constant) : IFormula3
{
    public const int Operations = 18;

    public static DrawnFormula Draw(Random random)
    {
        ulong steps = 0;
        for (int i = 0; i < 4; i++)
        {
            ulong step = (uint)random.Next(Operations) + ((uint)random.Next(64) << 8);
            steps |= step << (16 * i);
        }

        return new DrawnFormula(steps, (random.NextSingle() * 2) - 1);
    }

    public T Forward<T>(T a, T b, T c)
        where T : unmanaged, IReal<T>
    {
        Numbers<T> numbers = default;
        numbers.A = a;
        numbers.B = b;
        numbers.C = c;
        numbers.D = Constant;
        for (int i = 0; i < 4; i++)
        {
            numbers = Step((int)(Steps >> (16 * i)) & 0xFFFF, numbers);
        }

        return numbers.A + numbers.B - (numbers.C * numbers.D);
    }

    private static Numbers<T> Step<T>(int step, Numbers<T> numbers)
        where T : unmanaged, IReal<T>
    {
        T x = At(numbers, (step >> 8) & 3), y = At(numbers, (step >> 10) & 3), result = Apply(step & 0xFF, x, y);
        int place = (step >> 12) & 3;
        numbers.A = place == 0 ? result : numbers.A;
        numbers.B = place == 1 ? result : numbers.B;
        numbers.C = place == 2 ? result : numbers.C;
        numbers.D = place == 3 ? result : numbers.D;
        return numbers;
    }

    private static T At<T>(Numbers<T> numbers, int index)
        where T : unmanaged, IReal<T>
        => index == 0 ? numbers.A : index == 1 ? numbers.B : index == 2 ? numbers.C : numbers.D;

    private static T Apply<T>(int operation, T x, T y)
        where T : unmanaged, IReal<T>
        => operation switch
        {
            0 => x + y,
            1 => x - y,
            2 => x * y,
            3 => x / (1f + (y * y)),
            4 => T.Max(x, y),
            5 => T.Min(x, y),
            6 => T.SelectGreater(x, y, 0.5f * x, y - 0.25f),
            7 => T.Relu(x),
            8 => T.Abs(x),
            9 => T.Sqrt(0.5f + T.Abs(x)),
            10 => T.ReciprocalSqrt(1f + (x * x)),
            11 => T.Exp(-T.Abs(x)),
            12 => T.Log(0.5f + T.Abs(x)),
            13 => T.Log1p(T.Abs(x)),
            14 => T.Pow(0.5f + T.Abs(x), T.Tanh(y)),
            15 => T.Tanh(x),
            16 => T.Sigmoid(x),
            _ => -T.Erf(x),
        };

    private struct Numbers<T>
        where T : unmanaged, IReal<T>
    {
        public T A;
        public T B;
        public T C;
        public T D;
    }
}
