using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Training.Features;

namespace CudaTrainer.Engine.Tests.Training;

public sealed class BatchLoaderTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 1);

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Batches_hold_the_rows_in_their_order_in_the_wanted_type(bool stored, bool wanted)
    {
        MemoryRows rows = new(10, half: stored);
        using BatchLoader loader = new([_device], rows, 4, wanted);
        int[] order = [7, 2, 9, 0, 1, 8, 3, 4, 6, 5];
        foreach (int first in (int[])[0, 0, 1, 2])
        {
            loader.Start(order, first);
            for (int start = 4 * first; start < order.Length; start += 4)
            {
                SplitBatch batch = loader.Next();
                batch.Count.ShouldBe(Math.Min(4, order.Length - start));
                for (int i = 0; i < batch.Count; i++)
                {
                    int row = order[start + i];
                    batch.Rows[i].ShouldBe(row);
                    batch.Parts[0].Labels[i].ShouldBe(rows.Labels[row]);
                    float[] expected = rows.Values(row).ToArray();
                    Features(batch.Parts[0], i, expected.Length, wanted)
                        .ShouldBe(wanted ? [.. expected.Select(value => (float)(Half)value)] : expected);
                }

                loader.Return(batch);
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Features_are_standardised_on_the_way(bool half)
    {
        MemoryRows rows = new(10, half: half);
        FeatureScaler scaler = FeatureScaler.Fit(rows);
        using BatchLoader loader = new([_device], rows, 3, half: false, scaler);
        loader.Start([4]);
        SplitBatch batch = loader.Next();

        ReadOnlySpan<float> raw = rows.Values(4);
        float[] expected = new float[raw.Length];
        for (int i = 0; i < raw.Length; i++)
        {
            int d = i % rows.Dimension;
            expected[i] = (raw[i] - scaler.Mean[d]) * scaler.Scale[d];
        }

        Features(batch.Parts[0], 0, expected.Length, half: false).ShouldBe(expected);
    }

    /// <summary>Prediction uses batches without labels; whatever the memory held before must not be taken for one.</summary>
    [Fact]
    public void A_new_batch_has_valid_labels()
    {
        for (int i = 0; i < 20; i++)
        {
            using (HostBuffer dirty = _device.AllocateHost(4096))
            {
                dirty.AsSpan<byte>(0, 4096).Fill(0x7f);
            }

            using HostBatch batch = new(_device, 3, 1024);
            batch.Labels.ToArray().ShouldAllBe(label => label == 0);
        }
    }

    [Fact]
    public void A_row_that_cannot_be_read_fails_the_step_that_wants_it()
    {
        MemoryRows rows = new(10) { OnRow = row => _ = row == 5 ? throw new IOException("the disk is gone") : row };
        using BatchLoader loader = new([_device], rows, 5, half: false);
        loader.Start([.. Enumerable.Range(0, 10)]);
        loader.Return(loader.Next());

        Should.Throw<InvalidOperationException>(() => loader.Next()).Message.ShouldContain("the disk is gone");
    }

    [Fact]
    public void Leaving_in_the_middle_of_an_epoch_ends_the_thread()
    {
        int rowsRead = 0;
        MemoryRows rows = new(1000) { OnRow = _ => Interlocked.Increment(ref rowsRead) };
        BatchLoader loader = new([_device], rows, 1, half: false);
        loader.Start([.. Enumerable.Range(0, 1000)]);
        loader.Next();
        loader.Dispose();

        rowsRead.ShouldBeLessThan(10);
    }

    public void Dispose() => _device.Dispose();

    private static float[] Features(HostBatch batch, int index, int length, bool half) => half
        ? [.. batch.Features.AsSpan<Half>((long)index * length * 2, length).ToArray().Select(value => (float)value)]
        : batch.Features.AsSpan<float>((long)index * length * 4, length).ToArray();
}
