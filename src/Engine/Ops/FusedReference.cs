using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Engine.Ops;

internal sealed unsafe partial class ReferenceOps
{
    public void FusedForward<TFusion>(TFusion fusion, in FusedOperands operands, in FusedOutputs outputs)
        where TFusion : unmanaged, IFusion
    {
        var source = new ReferenceOperands(operands);
        foreach ((int output, Tensor y) in new[] { outputs.A, outputs.B, outputs.C, outputs.D }.OfType<Tensor>().Index())
        {
            double[] values = new double[y.Count];
            for (int row = 0; row < operands.Shape.Rows; row++)
            {
                Row<double> sums = SumsOf(fusion, source, row, out _);
                foreach (int i in source.PlacesOf(row, TFusion.IsPerRow))
                {
                    values[i] = ValueOf(fusion, output, TFusion.IsPerRow ? default : source.At(i), sums);
                }
            }

            Store(y, values);
        }
    }

    public void FusedBackward<TFusion>(
        TFusion fusion, in FusedOutputs outputs, in FusedOperands operands, in FusedGradients gradients)
        where TFusion : unmanaged, IFusion
    {
        var source = new ReferenceOperands(operands);
        double[][] to = [Begin(gradients.A, gradients.AddsA), Begin(gradients.B, gradients.AddsB), Begin(gradients.C, gradients.AddsC),
            Begin(gradients.D, gradients.AddsD)];
        OperandSpread[] spreads = [operands.Spreads.A, operands.Spreads.B, operands.Spreads.C, operands.Spreads.D];
        foreach ((int output, Tensor y) in new[] { outputs.A, outputs.B, outputs.C, outputs.D }.OfType<Tensor>().Index())
        {
            if (y.Gradient is { } gradient)
            {
                AddGradients(fusion, output, Load(gradient), source, spreads, operands.Shape.Rows, to);
            }
        }

        End(gradients.A, to[0]);
        End(gradients.B, to[1]);
        End(gradients.C, to[2]);
        End(gradients.D, to[3]);

        static double[] Begin(Tensor? tensor, bool adds) => tensor is null ? [] : adds ? Load(tensor) : new double[tensor.Count];

        static void End(Tensor? tensor, double[] values)
        {
            if (tensor is not null)
            {
                Store(tensor, values);
            }
        }
    }

    /// <summary>What one output passes back, added to the operands' gradients.</summary>
    private static void AddGradients<TFusion>(
        TFusion fusion, int output, double[] gradient, ReferenceOperands source, OperandSpread[] spreads, int rows, double[][] to)
        where TFusion : unmanaged, IFusion
    {
        for (int row = 0; row < rows; row++)
        {
            Row<double> sums = SumsOf(fusion, source, row, out Row<double> finished);
            double[] slopes = [0, finished.First, finished.Second, finished.Third];

            // Number 0 is the output, the others are the sums.
            double[] ofSums = [0, 0, 0, 0];
            for (int pass = 0; pass <= TFusion.Sums; pass++)
            {
                int from = pass == 0 ? 0 : TFusion.Sums + 1 - pass, part = from == 0 ? output : from;
                foreach (int i in source.PlacesOf(row, TFusion.IsPerRow && from == 0))
                {
                    Operands<double> x = TFusion.IsPerRow && from == 0 ? default : source.At(i);
                    double upstream = from == 0 ? gradient[i] : ofSums[from] * slopes[from];
                    for (int sum = 1; sum <= (from == 0 ? TFusion.Sums : from - 1); sum++)
                    {
                        ofSums[sum] += SlopeOf(fusion, part, x, sums, Operands<double>.Most + sum - 1).PassBack(upstream);
                    }

                    for (int operand = 0; operand < TFusion.Count && !(TFusion.IsPerRow && from == 0); operand++)
                    {
                        if (to[operand].Length > 0)
                        {
                            to[operand][source.IndexOf(spreads[operand], i)] += SlopeOf(fusion, part, x, sums, operand).PassBack(upstream);
                        }
                    }
                }
            }
        }
    }

    /// <param name="slopes">Of what has become of each sum along itself.</param>
    private static Row<double> SumsOf<TFusion>(TFusion fusion, ReferenceOperands source, int row, out Row<double> slopes)
        where TFusion : unmanaged, IFusion
    {
        Row<double> sums = default;
        slopes = default;
        if (TFusion.Sums == 0)
        {
            return sums;
        }

        IEnumerable<int> places = source.PlacesOf(row, isOne: false);
        sums.Count = places.Count();
        sums.Maximum = TFusion.NeedsMaximum ? places.Max(i => source.At(i).A) : 0;
        sums.First = Finished(1, out slopes.First);
        sums.Second = TFusion.Sums > 1 ? Finished(2, out slopes.Second) : 0;
        sums.Third = TFusion.Sums > 2 ? Finished(3, out slopes.Third) : 0;
        return sums;

        double Finished(int part, out double slope)
        {
            Operands<double> total = default;
            total.A = places.Sum(i => ValueOf(fusion, part, source.At(i), sums));
            slope = SlopeOf(fusion, IFusion.Finished + part, total, sums, 0).PassBack(1);
            return ValueOf(fusion, IFusion.Finished + part, total, sums);
        }
    }

    private static double ValueOf<TFusion>(TFusion fusion, int part, Operands<double> x, Row<double> row)
        where TFusion : unmanaged, IFusion
    {
        Row<Real<DoubleMath, double>> sums = default;
        sums.Maximum = new(row.Maximum);
        sums.First = new(row.First);
        sums.Second = new(row.Second);
        sums.Third = new(row.Third);
        sums.Count = new(row.Count);
        return fusion.Value<Real<DoubleMath, double>>(part, new(x.A), new(x.B), new(x.C), new(x.D), sums).Value;
    }

    private static Dual<DoubleMath, double> SlopeOf<TFusion>(TFusion fusion, int part, Operands<double> x, Row<double> row, int along)
        where TFusion : unmanaged, IFusion
        => fusion.Slope<DoubleMath, double>(part, x.A, x.B, x.C, x.D, row, along);

    /// <summary>The operands in double precision.</summary>
    private sealed class ReferenceOperands(FusedOperands operands)
    {
        private readonly int _columns = operands.Shape.Columns;
        private readonly Operands<OperandSpread> _spreads = operands.Spreads;
        private readonly double[] _a = Load(operands.A), _b = LoadOrZero(operands.B), _c = LoadOrZero(operands.C),
            _d = LoadOrZero(operands.D);

        public Operands<double> At(int i) => Operands<double>.Of(
            _a[IndexOf(_spreads.A, i)], _b[IndexOf(_spreads.B, i)], _c[IndexOf(_spreads.C, i)], _d[IndexOf(_spreads.D, i)]);

        /// <summary>The elements of a row, or the one output for it.</summary>
        public IEnumerable<int> PlacesOf(int row, bool isOne) =>
            isOne ? [row] : Enumerable.Range(row * _columns, operands.Shape.ColumnsOf(row));

        public int IndexOf(OperandSpread spread, int i) => spread switch
        {
            OperandSpread.Whole => i,
            OperandSpread.Column => i % _columns,
            OperandSpread.Row => i / _columns,
            _ => 0,
        };

        private static double[] LoadOrZero(Tensor? tensor) => tensor is null ? [0] : Load(tensor);
    }
}
