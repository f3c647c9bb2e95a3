using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>8-bit RGB frames → the image layout of <see cref="ConvLayout"/>: x·scale + shift per channel, optionally as BGR, with a border
/// of zeros.</summary>
internal static unsafe class NormalizeImage
{
    /// <param name="team">Divides the rows of all images.</param>
    /// <param name="height">Rows of an image.</param>
    /// <param name="width">Pixels of a row.</param>
    /// <param name="source">[images, height, width, 3], red first.</param>
    /// <param name="scale">[3], in the order of the output's channels.</param>
    /// <param name="shift">[3], in the order of the output's channels.</param>
    /// <param name="blueFirst">Whether the output's channels are blue, green, red.</param>
    /// <param name="output"><see cref="ConvLayout.ElementCount"/>(images, 3, height, width) floats.</param>
    public static void Run(
        ThreadTeam team, int images, int height, int width, byte* source, ReadOnlySpan<float> scale, ReadOnlySpan<float> shift,
        bool blueFirst, float* output)
    {
        // The affine map of 256 values is a table; looking it up also makes every level give the same bits.
        float* table = stackalloc float[3 * 256];
        for (int channel = 0; channel < 3; channel++)
        {
            for (int value = 0; value < 256; value++)
            {
                table[(channel * 256) + value] = (value * scale[channel]) + shift[channel];
            }
        }

        var kernel = new Kernel(images, height, width, source, table, blueFirst, output);
        team.Run(ref kernel);
    }

    private readonly struct Kernel(int images, int height, int width, byte* source, float* table, bool blueFirst,
        float* output) : ITeamKernel
    {
        public void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            nint rowSize = (width + 2) * ConvLayout.ImageChannels;
            (int begin, int end) = member.Share(images * (height + 2));
            for (int row = begin; row < end; row++)
            {
                int image = row / (height + 2);
                int y = (row % (height + 2)) - 1;
                float* target = output + (row * rowSize);
                if (y < 0 || y >= height)
                {
                    new Span<float>(target, (int)rowSize).Clear();
                }
                else
                {
                    NormalizeRow(source + (((nint)image * height) + y) * width * 3, target);
                }
            }
        }

        private void NormalizeRow(byte* pixels, float* target)
        {
            int first = blueFirst ? 2 : 0;
            int last = 2 - first;
            target[0] = target[1] = target[2] = 0;
            for (int x = 0; x < width; x++)
            {
                target += 3;
                target[0] = table[pixels[first]];
                target[1] = table[256 + pixels[1]];
                target[2] = table[512 + pixels[last]];
                pixels += 3;
            }

            target[3] = target[4] = target[5] = 0;
        }
    }
}
