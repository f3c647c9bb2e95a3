namespace CudaTrainer.Kernels.Device;

/// <summary>Elements in single precision.</summary>
internal readonly unsafe struct Float32 : IElement<Four>
{
    public static int Bytes => sizeof(float);

    public static float Read(byte* array, long index) => ((float*)array)[index];

    public static void Write(byte* array, long index, float value) => ((float*)array)[index] = value;

    public static Four ReadGroup(byte* array, long index, long available, int aligned)
    {
        float* from = (float*)array + index;
        return aligned != 0 && available >= 4 ? *(Four*)from : Four.ReadLanes(from, available);
    }

    public static void WriteGroup(byte* array, long index, long available, int aligned, Four values)
    {
        float* to = (float*)array + index;
        if (aligned != 0 && available >= 4)
        {
            *(Four*)to = values;
        }
        else
        {
            Four.WriteLanes(to, available, values);
        }
    }
}
