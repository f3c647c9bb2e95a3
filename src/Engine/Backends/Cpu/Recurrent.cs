using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Engine.Backends.Cpu;

public sealed unsafe partial class CpuOps
{
    public long LstmReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => Lstm.ReserveBytes(ShapeOf(x, y, options));

    public void LstmForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, in RecurrentOptions options)
    {
        if (x.DType == DType.Float16)
        {
            Lstm.Forward(team, ShapeOf(x, y, options), (Half*)x.Data, Floats(weightInput), Floats(weightHidden), Floats(bias), Floats(y), (void*)reserve.Data);
        }
        else
        {
            Lstm.Forward(team, ShapeOf(x, y, options), Floats(x), Floats(weightInput), Floats(weightHidden), Floats(bias), Floats(y), (void*)reserve.Data);
        }
    }

    public void LstmBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBias, in RecurrentOptions options)
    {
        float* inputGradient = dx is null ? null : Floats(dx);
        if (x.DType == DType.Float16)
        {
            Lstm.Backward(
                team, ShapeOf(x, y, options), (Half*)x.Data, Floats(weightInput), Floats(weightHidden), Floats(y), (void*)reserve.Data, Floats(dy), inputGradient,
                Floats(dWeightInput), Floats(dWeightHidden), Floats(dBias));
        }
        else
        {
            Lstm.Backward(
                team, ShapeOf(x, y, options), Floats(x), Floats(weightInput), Floats(weightHidden), Floats(y), (void*)reserve.Data, Floats(dy), inputGradient,
                Floats(dWeightInput), Floats(dWeightHidden), Floats(dBias));
        }
    }

    public long GruReserveBytes(Tensor x, Tensor y, in RecurrentOptions options) => Gru.ReserveBytes(ShapeOf(x, y, options));

    public void GruForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve, in RecurrentOptions options)
    {
        if (x.DType == DType.Float16)
        {
            Gru.Forward(
                team, ShapeOf(x, y, options), (Half*)x.Data, Floats(weightInput), Floats(weightHidden), Floats(biasInput), Floats(biasHidden), Floats(y), (void*)reserve.Data);
        }
        else
        {
            Gru.Forward(
                team, ShapeOf(x, y, options), Floats(x), Floats(weightInput), Floats(weightHidden), Floats(biasInput), Floats(biasHidden), Floats(y), (void*)reserve.Data);
        }
    }

    public void GruBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBiasInput, Tensor dBiasHidden, in RecurrentOptions options)
    {
        float* inputGradient = dx is null ? null : Floats(dx);
        if (x.DType == DType.Float16)
        {
            Gru.Backward(
                team, ShapeOf(x, y, options), (Half*)x.Data, Floats(weightInput), Floats(weightHidden), Floats(y), (void*)reserve.Data, Floats(dy), inputGradient,
                Floats(dWeightInput), Floats(dWeightHidden), Floats(dBiasInput), Floats(dBiasHidden));
        }
        else
        {
            Gru.Backward(
                team, ShapeOf(x, y, options), Floats(x), Floats(weightInput), Floats(weightHidden), Floats(y), (void*)reserve.Data, Floats(dy), inputGradient,
                Floats(dWeightInput), Floats(dWeightHidden), Floats(dBiasInput), Floats(dBiasHidden));
        }
    }

    private static RecurrentShape ShapeOf(Tensor x, Tensor y, in RecurrentOptions options) =>
        new(x.Shape[0], x.Shape[1], x.Shape[2], y.Shape[2], options.Reverse, options.HalfReserve);
}
