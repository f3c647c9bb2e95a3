using System.Numerics;
using System.Runtime.InteropServices;

namespace CudaTrainer.Engine.Tests.Onnx;

internal sealed record OnnxTensor(long[] Shape, float[] Data)
{
    public long Length(int axis) => Shape[axis < 0 ? Shape.Length + axis : axis];

    public static long Count(IEnumerable<long> shape) => shape.Aggregate(1L, (product, length) => product * length);
}

/// <summary>
/// Runs ONNX files by the letter of onnx/docs/Operators.md, with plain loops: an oracle for the export that needs no other program. Knows
/// only the operations that are exported.
/// </summary>
internal sealed class OnnxEvaluator(OnnxFile file)
{
    private readonly Dictionary<string, OnnxTensor> _values = [];

    /// <summary>Every value by name; each is forgotten when no node needs it any more, but for the graph's outputs.</summary>
    public Dictionary<string, OnnxTensor> Run(OnnxTensor input)
    {
        _values.Clear();
        _values.Add(file.Inputs.ShouldHaveSingleItem().Name, input);
        for (int i = 0; i < file.Nodes.Length; i++)
        {
            FileNode node = file.Nodes[i];
            OnnxTensor result = Compute(node);
            result.Data.Length.ShouldBe((int)OnnxTensor.Count(result.Shape), node.Name);
            _values.Add(node.Outputs.ShouldHaveSingleItem(), result);
            foreach (string done in node.Inputs.Where(
                name => !file.Nodes.Skip(i + 1).Any(later => later.Inputs.Contains(name))
                && !file.Outputs.Any(output => output.Name == name)))
            {
                _values.Remove(done);
            }
        }

        return _values;
    }

    private OnnxTensor Value(string name)
    {
        if (_values.TryGetValue(name, out OnnxTensor? value))
        {
            return value;
        }

        FileTensor tensor = file.Tensors[name];
        float[] data = tensor.Type == OnnxFile.Int64
            ? [.. MemoryMarshal.Cast<byte, long>(tensor.Data.Span).ToArray().Select(number => (float)number)]
            : tensor.Floats.ToArray();
        return new OnnxTensor(tensor.Shape, data);
    }

    private OnnxTensor Compute(FileNode node)
    {
        OnnxTensor[] x = [.. node.Inputs.Select(Value)];
        long Attribute(string name) => node.Integers[name].ShouldHaveSingleItem();
        return node.Operation switch
        {
            "Transpose" => Transpose(x[0], node.Integers["perm"]),
            "Reshape" => Reshape(x[0], x[1].Data),
            "Squeeze" => Squeeze(x[0], (int)x[1].Data.ShouldHaveSingleItem()),
            "Flatten" => Reshape(x[0], [x[0].Shape.Take((int)Attribute("axis")).Aggregate(1f, (product, length) => product * length), -1]),
            "Cast" => Attribute("to") == OnnxFile.Float ? x[0] : throw new NotSupportedException(),
            "Gather" => Gather(x[0], x[1], (int)Attribute("axis")),
            "Add" => Broadcast(x[0], x[1], (a, b) => a + b),
            "Sub" => Broadcast(x[0], x[1], (a, b) => a - b),
            "Mul" => Broadcast(x[0], x[1], (a, b) => a * b),
            "Relu" => x[0] with { Data = Array.ConvertAll(x[0].Data, value => Math.Max(0, value)) },
            "Abs" => x[0] with { Data = Array.ConvertAll(x[0].Data, Math.Abs) },
            "Sqrt" => x[0] with { Data = Array.ConvertAll(x[0].Data, MathF.Sqrt) },
            "Slice" => SliceFirst(x[0], x[1], x[2], x[3]),
            "Concat" => Concat(x, Attribute("axis")),
            "MatMul" => MatMul(x[0], x[1]),
            "Gemm" => Gemm(x[0], x[1], x[2], Attribute("transB")),
            "Softmax" => Softmax(x[0], (int)Attribute("axis")),
            "ReduceSum" => ReduceFirst(x[0], x[1], Attribute("keepdims")),
            "ReduceMean" => MeanOfFirst(x[0], Attribute("axes"), Attribute("keepdims")),
            "Conv" => Conv(x[0], x[1], x[2], node),
            "MaxPool" => MaxPool(x[0], node),
            "LSTM" => Recurrent(x, node, gates: 4, Lstm),
            "GRU" => Recurrent(x, node, gates: 3,
                Attribute("linear_before_reset") == 1 ? GruLinearFirst : throw new NotSupportedException()),
            _ => throw new NotSupportedException(node.Operation),
        };
    }

    private static OnnxTensor Transpose(OnnxTensor x, long[] perm)
    {
        long[] strides = Strides(x.Shape), shape = [.. perm.Select(axis => x.Shape[axis])], results = Strides(shape);
        float[] y = new float[x.Data.Length];
        for (int i = 0; i < y.Length; i++)
        {
            long from = 0;
            for (int axis = 0; axis < perm.Length; axis++)
            {
                from += i / results[axis] % shape[axis] * strides[perm[axis]];
            }

            y[i] = x.Data[from];
        }

        return new OnnxTensor(shape, y);
    }

    /// <summary>0 keeps a length, -1 takes what is left.</summary>
    private static OnnxTensor Reshape(OnnxTensor x, float[] to)
    {
        long[] shape = [.. to.Select((length, axis) => length == 0 ? x.Shape[axis] : (long)length)];
        int open = Array.IndexOf(shape, -1);
        if (open >= 0)
        {
            shape[open] = x.Data.Length / -OnnxTensor.Count(shape);
        }

        return new OnnxTensor(shape, x.Data);
    }

    private static OnnxTensor Squeeze(OnnxTensor x, int axis)
    {
        x.Shape[axis].ShouldBe(1);
        return new OnnxTensor([.. x.Shape[..axis], .. x.Shape[(axis + 1)..]], x.Data);
    }

    private static OnnxTensor Gather(OnnxTensor x, OnnxTensor indices, int axis)
    {
        int inner = (int)OnnxTensor.Count(x.Shape[(axis + 1)..]), outer = (int)OnnxTensor.Count(x.Shape[..axis]),
            length = (int)x.Shape[axis];
        List<float> y = [];
        for (int o = 0; o < outer; o++)
        {
            foreach (int index in indices.Data)
            {
                y.AddRange(x.Data.AsSpan(((o * length) + (index < 0 ? length + index : index)) * inner, inner));
            }
        }

        return new OnnxTensor([.. x.Shape[..axis], .. indices.Shape, .. x.Shape[(axis + 1)..]], [.. y]);
    }

    private static OnnxTensor Broadcast(OnnxTensor a, OnnxTensor b, Func<float, float, float> operation)
    {
        long[] small = [.. Enumerable.Repeat(1L, a.Shape.Length - b.Shape.Length), .. b.Shape], strides = Strides(small),
            results = Strides(a.Shape);
        float[] y = new float[a.Data.Length];
        for (int i = 0; i < y.Length; i++)
        {
            long from = 0;
            for (int axis = 0; axis < small.Length; axis++)
            {
                (small[axis] == 1 || small[axis] == a.Shape[axis]).ShouldBeTrue();
                from += small[axis] == 1 ? 0 : i / results[axis] % a.Shape[axis] * strides[axis];
            }

            y[i] = operation(a.Data[i], b.Data[from]);
        }

        return a with { Data = y };
    }

    private static OnnxTensor MatMul(OnnxTensor x, OnnxTensor w)
    {
        x.Length(-1).ShouldBe(w.Shape[0]);
        int columns = (int)w.Shape[1];
        float[] y = new float[x.Data.Length / (int)w.Shape[0] * columns];
        for (int i = 0; i < y.Length; i++)
        {
            y[i] = (float)Enumerable.Range(0, (int)w.Shape[0])
                .Sum(k => (double)x.Data[(i / columns * w.Shape[0]) + k] * w.Data[(k * columns) + (i % columns)]);
        }

        return new OnnxTensor([.. x.Shape[..^1], columns], y);
    }

    /// <summary>y = x·Wᵀ + b.</summary>
    private static OnnxTensor Gemm(OnnxTensor x, OnnxTensor w, OnnxTensor b, long transposed)
    {
        transposed.ShouldBe(1);
        x.Shape[1].ShouldBe(w.Shape[1]);
        int rows = (int)x.Shape[0], inner = (int)x.Shape[1], columns = (int)w.Shape[0];
        float[] y = new float[rows * columns];
        System.Threading.Tasks.Parallel.For(0, columns, c =>
        {
            for (int r = 0; r < rows; r++)
            {
                y[(r * columns) + c] = (float)(Dot(x.Data.AsSpan(r * inner, inner), w.Data.AsSpan(c * inner, inner)) + b.Data[c]);
            }
        });
        return new OnnxTensor([rows, columns], y);
    }

    private static OnnxTensor Softmax(OnnxTensor x, int axis)
    {
        long length = x.Shape[axis], inner = OnnxTensor.Count(x.Shape[(axis + 1)..]);
        float[] y = new float[x.Data.Length];
        for (long i = 0; i < y.Length; i++)
        {
            long first = (i / (inner * length) * inner * length) + (i % inner);
            y[i] = (float)(1 / Enumerable.Range(0, (int)length).Sum(k => Math.Exp((double)x.Data[first + (k * inner)] - x.Data[i])));
        }

        return x with { Data = y };
    }

    private static OnnxTensor ReduceFirst(OnnxTensor x, OnnxTensor axes, long keeps)
    {
        (axes.Data.ShouldHaveSingleItem(), keeps).ShouldBe((0, 0));
        int inner = x.Data.Length / (int)x.Shape[0];
        return new OnnxTensor(x.Shape[1..],
            [.. Enumerable.Range(0, inner)
            .Select(i => (float)Enumerable.Range(0, (int)x.Shape[0]).Sum(t => (double)x.Data[(t * inner) + i]))]);
    }

    private static OnnxTensor MeanOfFirst(OnnxTensor x, long axis, long keeps)
    {
        axis.ShouldBe(0);
        x.Shape[0].ShouldBePositive();
        int inner = x.Data.Length / (int)x.Shape[0];
        return new OnnxTensor(keeps == 1 ? [1, .. x.Shape[1..]] : x.Shape[1..],
            [.. Enumerable.Range(0, inner)
            .Select(i => (float)Enumerable.Range(0, (int)x.Shape[0]).Average(t => (double)x.Data[(t * inner) + i]))]);
    }

    /// <summary>Entries of the first dimension, from a start until before an end.</summary>
    private static OnnxTensor SliceFirst(OnnxTensor x, OnnxTensor starts, OnnxTensor ends, OnnxTensor axes)
    {
        axes.Data.ShouldHaveSingleItem().ShouldBe(0);
        int start = (int)starts.Data.ShouldHaveSingleItem(), end = (int)ends.Data.ShouldHaveSingleItem(),
            inner = x.Data.Length / (int)x.Shape[0];
        start.ShouldBeInRange(0, end);
        end.ShouldBeLessThanOrEqualTo((int)x.Shape[0]);
        return new OnnxTensor([end - start, .. x.Shape[1..]], x.Data[(start * inner)..(end * inner)]);
    }

    /// <summary>Tensors that have all lengths but one in common, behind each other along that one.</summary>
    private static OnnxTensor Concat(OnnxTensor[] x, long axis)
    {
        int at = (int)axis;
        long[] shape = [.. x[0].Shape];
        foreach (OnnxTensor part in x)
        {
            part.Shape.Where((_, d) => d != at).ShouldBe(shape.Where((_, d) => d != at));
        }

        shape[at] = x.Sum(part => part.Shape[at]);
        int outer = (int)shape[..at].Aggregate(1L, (product, length) => product * length);
        return new OnnxTensor(shape, [.. Enumerable.Range(0, outer).SelectMany(row => x.SelectMany(
            part => part.Data.Skip(row * (part.Data.Length / outer)).Take(part.Data.Length / outer)))]);
    }

    /// <summary>3×3, stride 1, padding 1.</summary>
    private static OnnxTensor Conv(OnnxTensor x, OnnxTensor w, OnnxTensor b, FileNode node)
    {
        node.Integers.Keys.Order().ShouldBe(["kernel_shape", "pads"]);
        node.Integers["kernel_shape"].ShouldBe([3, 3]);
        node.Integers["pads"].ShouldBe([1, 1, 1, 1]);
        int inputs = (int)x.Shape[1], outputs = (int)w.Shape[0], height = (int)x.Shape[2], width = (int)x.Shape[3], plane = height * width;
        float[] y = new float[x.Shape[0] * outputs * plane];
        System.Threading.Tasks.Parallel.For(0, (int)x.Shape[0] * outputs, job =>
        {
            int output = job % outputs;
            Span<float> to = y.AsSpan(job * plane, plane);
            to.Fill(b.Data[output]);
            for (int input = 0; input < inputs; input++)
            {
                ReadOnlySpan<float> from = x.Data.AsSpan(((job / outputs * inputs) + input) * plane, plane);
                for (int tap = 0; tap < 9; tap++)
                {
                    int down = (tap / 3) - 1, right = (tap % 3) - 1, count = width - Math.Abs(right);
                    for (int row = Math.Max(0, -down); row < height - Math.Max(0, down); row++)
                    {
                        AddProduct(to.Slice((row * width) + Math.Max(0, -right), count),
                            from.Slice(((row + down) * width) + Math.Max(0, right), count),
                            w.Data[(((output * inputs) + input) * 9) + tap]);
                    }
                }
            }
        });
        return new OnnxTensor([x.Shape[0], outputs, height, width], y);
    }

    private static OnnxTensor MaxPool(OnnxTensor x, FileNode node)
    {
        node.Integers.Keys.Order().ShouldBe(["kernel_shape", "strides"]);
        node.Integers.Values.ShouldAllBe(lengths => lengths.SequenceEqual(new long[] { 2, 2 }));
        int width = (int)x.Shape[3], half = width / 2;
        float[] y = new float[x.Data.Length / 4];
        for (int i = 0; i < y.Length; i++)
        {
            int at = (i / half * 2 * width) + (i % half * 2);
            y[i] = Math.Max(Math.Max(x.Data[at], x.Data[at + 1]), Math.Max(x.Data[at + width], x.Data[at + width + 1]));
        }

        return new OnnxTensor([x.Shape[0], x.Shape[1], x.Shape[2] / 2, half], y);
    }

    /// <summary>
    /// A step of one hidden unit: products of the gates with x and with h, biases of both, state; returns h and leaves the state.
    /// </summary>
    private delegate double Cell(double[] input, double[] hidden, double before, ref double state);

    /// <summary>X [T, N, I], W [D, G·H, I], R [D, G·H, H], B [D, 2·G·H] to Y [T, D, N, H].</summary>
    private static OnnxTensor Recurrent(OnnxTensor[] x, FileNode node, int gates, Cell cell)
    {
        (int time, int batch, int inputs) = ((int)x[0].Shape[0], (int)x[0].Shape[1], (int)x[0].Shape[2]);
        int hidden = (int)node.Integers["hidden_size"].ShouldHaveSingleItem(),
            directions = node.Texts["direction"] switch { "forward" => 1, "bidirectional" => 2, _ => throw new NotSupportedException() };
        x[1].Shape.ShouldBe([directions, gates * hidden, inputs]);
        x[2].Shape.ShouldBe([directions, gates * hidden, hidden]);
        x[3].Shape.ShouldBe([directions, 2 * gates * hidden]);
        float[] y = new float[time * directions * batch * hidden];
        for (int d = 0; d < directions; d++)
        {
            for (int n = 0; n < batch; n++)
            {
                float[] h = new float[hidden];
                double[] state = new double[hidden];
                for (int step = 0; step < time; step++)
                {
                    int t = d == 0 ? step : time - 1 - step;
                    float[] before = [.. h];
                    for (int unit = 0; unit < hidden; unit++)
                    {
                        double[] fromInput = new double[gates], fromHidden = new double[gates];
                        for (int gate = 0; gate < gates; gate++)
                        {
                            int row = (gate * hidden) + unit, bias = (d * 2 * gates * hidden) + row;
                            fromInput[gate] = Dot(x[0].Data.AsSpan(((t * batch) + n) * inputs, inputs),
                                x[1].Data.AsSpan(((d * gates * hidden) + row) * inputs, inputs)) + x[3].Data[bias];
                            fromHidden[gate] = Dot(before, x[2].Data.AsSpan(((d * gates * hidden) + row) * hidden, hidden))
                                + x[3].Data[bias + (gates * hidden)];
                        }

                        h[unit] = (float)cell(fromInput, fromHidden, before[unit], ref state[unit]);
                    }

                    h.CopyTo(y, ((((t * directions) + d) * batch) + n) * hidden);
                }
            }
        }

        return new OnnxTensor([time, directions, batch, hidden], y);
    }

    /// <summary>Gates i, o, f, c.</summary>
    private static double Lstm(double[] input, double[] hidden, double before, ref double state)
    {
        state = (Sigmoid(input[2] + hidden[2]) * state) + (Sigmoid(input[0] + hidden[0]) * Math.Tanh(input[3] + hidden[3]));
        return Sigmoid(input[1] + hidden[1]) * Math.Tanh(state);
    }

    /// <summary>Gates z, r, h; linear_before_reset.</summary>
    private static double GruLinearFirst(double[] input, double[] hidden, double before, ref double state)
    {
        double z = Sigmoid(input[0] + hidden[0]), r = Sigmoid(input[1] + hidden[1]);
        return ((1 - z) * Math.Tanh(input[2] + (r * hidden[2]))) + (z * before);
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += (double)a[i] * b[i];
        }

        return sum;
    }

    private static void AddProduct(Span<float> to, ReadOnlySpan<float> from, float factor)
    {
        int i = 0;
        for (; i <= to.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            (new Vector<float>(to[i..]) + (new Vector<float>(from[i..]) * factor)).CopyTo(to[i..]);
        }

        for (; i < to.Length; i++)
        {
            to[i] += from[i] * factor;
        }
    }

    private static long[] Strides(long[] shape) => [.. shape.Select((_, axis) => OnnxTensor.Count(shape[(axis + 1)..]))];
}
