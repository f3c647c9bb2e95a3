using CudaTrainer.Engine.Backends.Reference;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends.Cpu;

public sealed unsafe partial class CpuOps
{
    private readonly ReferenceOps _reference = new();

    public long LstmReserveBytes(int batch, int time, int hidden, bool halfReserve) => _reference.LstmReserveBytes(batch, time, hidden, halfReserve);

    public void LstmForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor bias, Tensor y, Tensor reserve, in RecurrentOptions options) =>
        _reference.LstmForward(x, weightInput, weightHidden, bias, y, reserve, options);

    public void LstmBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBias, in RecurrentOptions options) =>
        _reference.LstmBackward(dy, x, weightInput, weightHidden, y, reserve, dx, dWeightInput, dWeightHidden, dBias, options);

    public long GruReserveBytes(int batch, int time, int hidden) => _reference.GruReserveBytes(batch, time, hidden);

    public void GruForward(Tensor x, Tensor weightInput, Tensor weightHidden, Tensor biasInput, Tensor biasHidden, Tensor y, Tensor reserve) =>
        _reference.GruForward(x, weightInput, weightHidden, biasInput, biasHidden, y, reserve);

    public void GruBackward(Tensor dy, Tensor x, Tensor weightInput, Tensor weightHidden, Tensor y, Tensor reserve, Tensor? dx, Tensor dWeightInput, Tensor dWeightHidden, Tensor dBiasInput, Tensor dBiasHidden) =>
        _reference.GruBackward(dy, x, weightInput, weightHidden, y, reserve, dx, dWeightInput, dWeightHidden, dBiasInput, dBiasHidden);
}
