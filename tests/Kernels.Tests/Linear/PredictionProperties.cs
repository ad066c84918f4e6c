using ILGPU.Runtime;
using Kernels.Linear;
using Kernels.References.Linear;
using Kernels.Tests.Support;

namespace Kernels.Tests.Linear;

public sealed class PredictionProperties
{
    private static readonly float[] s_values =
        [float.NegativeInfinity, float.PositiveInfinity, 0f, -0f, 1f, -1f, 1e-45f, -1e-45f, 2f, 3f];

    /// <summary>NaN of both signs, quiet and signalling, with and without a payload.</summary>
    private static readonly uint[] s_nan =
        [0x7FC00000, 0xFFC00000, 0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FA12345, 0xFFC12345];

    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void Finds_the_first_of_the_largest(LinearPlace place)
    {
        var random = new Random(1);
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var predictions = new Predictions(accelerator, launch: place != LinearPlace.Own);
        foreach (int classes in new[] { 1, 2, 3, 10, 31, 32, 33, 64, 65, 200, 1031 })
        {
            // Few different values, so that ties, infinities and both zeros meet.
            const int Rows = 9;
            var x = new float[Rows * classes];
            for (int i = 0; i < x.Length; i++)
            {
                x[i] = s_values[random.Next(1 + random.Next(s_values.Length))];
            }

            int[] wanted =
                [.. Enumerable.Range(0, Rows).Select(r => PredictionReference.ArgMax(x.AsSpan(r * classes, classes)))];
            int[] labels = [.. wanted.Select(w => random.Next(2) == 0 ? w : 0)];
            using var logits = new GuardedTensor(accelerator, x, shift: 1);
            using var found = new GuardedTensor(accelerator, new float[Rows]);
            using var classOf = new GuardedTensor(accelerator, Storage.F32, Array.ConvertAll(labels, l => (uint)l));
            using var count = new GuardedTensor(accelerator, new float[1]);
            AcceleratorStream stream = accelerator.DefaultStream;
            predictions.Predict(stream, logits.View, found.Floats.Cast<int>(), Rows, classes);
            predictions.Count(
                stream, found.Floats.Cast<int>(), classOf.Floats.Cast<int>(), count.Floats.Cast<int>());
            stream.Synchronize();
            Assert.Equal(wanted, Array.ConvertAll(found.Bits(), b => (int)b));
            int right = wanted.Zip(labels).Count(pair => pair.First == pair.Second && pair.First >= 0);
            Assert.Equal([(uint)right], count.Bits());
        }
    }

    [Theory]
    [MemberData(nameof(LinearPlaces.Groups), MemberType = typeof(LinearPlaces))]
    public void A_row_with_a_NaN_has_no_class_and_the_rows_beside_it_have(LinearPlace place)
    {
        var random = new Random(2);
        Accelerator accelerator = LinearDevice.Accelerator(place);
        var predictions = new Predictions(accelerator, launch: place != LinearPlace.Own);
        foreach (int classes in new[] { 1, 2, 10, 33, 64, 257, 1031 })
        {
            // Every NaN first, last, and anywhere, beside the largest number there is; a row of nothing else at the end.
            int[] places = [0, classes - 1, random.Next(classes)];
            int rows = 2 * s_nan.Length * places.Length + 1;
            var bits = new uint[rows * classes];
            var wanted = new int[rows];
            for (int row = 0; row < rows; row++)
            {
                Span<uint> values = bits.AsSpan(row * classes, classes);
                foreach (ref uint value in values)
                {
                    value = BitConverter.SingleToUInt32Bits(s_values[random.Next(s_values.Length)]);
                }

                if (row == rows - 1)
                {
                    values.Fill(s_nan[0]);
                }
                else if (row % 2 == 0)
                {
                    values[places[row / 2 % places.Length]] = s_nan[row / 2 / places.Length];
                }

                wanted[row] = row % 2 == 0
                    ? -1
                    : PredictionReference.ArgMax([.. values.ToArray().Select(BitConverter.UInt32BitsToSingle)]);
            }

            using var logits = new GuardedTensor(accelerator, Storage.F32, bits);
            using var found = new GuardedTensor(accelerator, new float[rows]);
            using var count = new GuardedTensor(accelerator, new float[1]);
            AcceleratorStream stream = accelerator.DefaultStream;
            predictions.Predict(stream, logits.View, found.Floats.Cast<int>(), rows, classes);
            stream.Synchronize();
            Assert.Equal(wanted, Array.ConvertAll(found.Bits(), b => (int)b));
            // -1 is no label, not even of itself.
            predictions.Count(
                stream, found.Floats.Cast<int>(), found.Floats.Cast<int>(), count.Floats.Cast<int>());
            stream.Synchronize();
            Assert.Equal([(uint)(rows / 2)], count.Bits());
        }
    }

    [Theory]
    [InlineData(new float[0], -1)]
    [InlineData(new[] { 1f, 3f, 3f }, 1)]
    [InlineData(new[] { -0f, 0f }, 0)]
    [InlineData(new[] { float.NegativeInfinity }, 0)]
    [InlineData(new[] { 5f, float.NaN }, -1)]
    [InlineData(new[] { float.NaN, 5f }, -1)]
    public void The_oracle_takes_the_first_of_the_largest_and_none_beside_a_NaN(float[] row, int wanted) =>
        Assert.Equal(wanted, PredictionReference.ArgMax(row));

    [Fact]
    public void Rejects_what_does_not_fit()
    {
        Accelerator accelerator = TestDevices.Session.Accelerator;
        AcceleratorStream stream = TestDevices.Session.Stream;
        var predictions = new Predictions(accelerator);
        using var x = accelerator.Allocate1D(new float[6]);
        using var found = accelerator.Allocate1D(new int[3]);
        using var one = accelerator.Allocate1D(new int[1]);
        predictions.Predict(stream, x.View, found.View, 3, 2);
        predictions.Predict(stream, default, default, 0, 2);
        predictions.Count(stream, default, default, one.View);
        Assert.Throws<ArgumentNullException>("accelerator", () => new Predictions(null!));
        Assert.Throws<ArgumentException>("logits", () => predictions.Predict(stream, x.View, found.View, 3, 3));
        Assert.Throws<ArgumentException>("predictions", () => predictions.Predict(stream, x.View, one.View, 3, 2));
        Assert.Throws<ArgumentException>("labels", () => predictions.Count(stream, found.View, one.View, one.View));
        Assert.Throws<ArgumentException>(
            "count", () => predictions.Count(stream, found.View, found.View, found.View.SubView(0, 1)));
        Assert.Throws<ArgumentOutOfRangeException>(
            "classes", () => predictions.Predict(stream, default, default, 0, 0));
        stream.Synchronize();
        Assert.Equal([0], one.GetAsArray1D());
    }
}
