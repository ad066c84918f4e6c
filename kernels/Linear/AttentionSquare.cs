using ILGPU;
using ILGPU.Util;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>What an item has of a tile.</summary>
internal static partial class AttentionTile
{
    // One number of each of the four rows (or columns) of an item.
    private static void PutRows(ArrayView<float> shared, int y, int x, Quad values)
    {
        shared[y * 8 + x] = values.X;
        shared[(y + 8) * 8 + x] = values.Y;
        shared[(y + 16) * 8 + x] = values.Z;
        shared[(y + 24) * 8 + x] = values.W;
    }

    private static Quad RowSums(ArrayView<float> shared, int y) => new()
    {
        X = SumOfEight(shared, y * 8),
        Y = SumOfEight(shared, (y + 8) * 8),
        Z = SumOfEight(shared, (y + 16) * 8),
        W = SumOfEight(shared, (y + 24) * 8),
    };

    private static Quad RowPeaks(ArrayView<float> shared, int y) => new()
    {
        X = LargestOfEight(shared, y * 8),
        Y = LargestOfEight(shared, (y + 8) * 8),
        Z = LargestOfEight(shared, (y + 16) * 8),
        W = LargestOfEight(shared, (y + 24) * 8),
    };

    private static float SumOfEight(ArrayView<float> shared, int at) =>
        ((shared[at] + shared[at + 1]) + (shared[at + 2] + shared[at + 3]))
        + ((shared[at + 4] + shared[at + 5]) + (shared[at + 6] + shared[at + 7]));

    private static float LargestOfEight(ArrayView<float> shared, int at) => GroupTree.Larger(
        GroupTree.Larger(
            GroupTree.Larger(shared[at], shared[at + 1]), GroupTree.Larger(shared[at + 2], shared[at + 3])),
        GroupTree.Larger(
            GroupTree.Larger(shared[at + 4], shared[at + 5]), GroupTree.Larger(shared[at + 6], shared[at + 7])));

    /// <summary>Numbers at, at + 8, at + 16, at + 24; 0 from <paramref name="left"/> on.</summary>
    private static Quad ReadRows(ArrayView<float> view, long at, int left)
    {
        Quad values = default;
        if (left > 0)
        {
            values.X = view[at];
        }

        if (left > 8)
        {
            values.Y = view[at + 8];
        }

        if (left > 16)
        {
            values.Z = view[at + 16];
        }

        if (left > 24)
        {
            values.W = view[at + 24];
        }

        return values;
    }

    private static void StoreRows(ArrayView<float> view, long at, int left, Quad values)
    {
        if (left > 0)
        {
            view[at] = values.X;
        }

        if (left > 8)
        {
            view[at + 8] = values.Y;
        }

        if (left > 16)
        {
            view[at + 16] = values.Z;
        }

        if (left > 24)
        {
            view[at + 24] = values.W;
        }
    }

    private static Quad Repeat(float value) => new() { X = value, Y = value, Z = value, W = value };

    private static Quad Add(Quad a, Quad b) => new() { X = a.X + b.X, Y = a.Y + b.Y, Z = a.Z + b.Z, W = a.W + b.W };

    private static Quad Times(Quad a, Quad b) => new() { X = a.X * b.X, Y = a.Y * b.Y, Z = a.Z * b.Z, W = a.W * b.W };

    private static Quad Larger(Quad a, Quad b) => new()
    {
        X = GroupTree.Larger(a.X, b.X),
        Y = GroupTree.Larger(a.Y, b.Y),
        Z = GroupTree.Larger(a.Z, b.Z),
        W = GroupTree.Larger(a.W, b.W),
    };

    private static Quad Exp(Quad a, Quad shift) => new()
    {
        X = Exp(a.X - shift.X),
        Y = Exp(a.Y - shift.Y),
        Z = Exp(a.Z - shift.Z),
        W = Exp(a.W - shift.W),
    };

    private static float Exp(float x) => Exponential.OfNegative(Lane.Of(x)).Value;

    /// <summary>4 x 4 numbers of a tile: rows y + 8 i, columns x + 8 j.</summary>
    private struct Square
    {
        public Quad R0;
        public Quad R1;
        public Quad R2;
        public Quad R3;

        /// <summary>Adds the products of rows of a and rows of b over so many dimensions.</summary>
        internal void AddProducts(ArrayView<Quad> a, ArrayView<Quad> b, int y, int x, int dimensions)
        {
            int packets = (IntrinsicMath.Min(dimensions, Depth) + 3) / 4;
            for (int p = 0; p < packets; p++)
            {
                Quad b0 = b[x * Stride + p];
                Quad b1 = b[(x + 8) * Stride + p];
                Quad b2 = b[(x + 16) * Stride + p];
                Quad b3 = b[(x + 24) * Stride + p];
                R0 = Products(R0, a[y * Stride + p], b0, b1, b2, b3);
                R1 = Products(R1, a[(y + 8) * Stride + p], b0, b1, b2, b3);
                R2 = Products(R2, a[(y + 16) * Stride + p], b0, b1, b2, b3);
                R3 = Products(R3, a[(y + 24) * Stride + p], b0, b1, b2, b3);
            }
        }

        /// <summary>Each times a factor; columns from <paramref name="count"/> on become another number.</summary>
        internal void Scale(float factor, int x, int count, float beyond)
        {
            R0 = Kept(R0, factor, x, count, beyond);
            R1 = Kept(R1, factor, x, count, beyond);
            R2 = Kept(R2, factor, x, count, beyond);
            R3 = Kept(R3, factor, x, count, beyond);
        }

        /// <summary>The largest of each row.</summary>
        internal readonly Quad Peaks() => new() { X = Peak(R0), Y = Peak(R1), Z = Peak(R2), W = Peak(R3) };

        /// <summary>The sum of each row.</summary>
        internal readonly Quad Sums() => new() { X = Sum(R0), Y = Sum(R1), Z = Sum(R2), W = Sum(R3) };

        /// <summary>exp(row - shift of the row).</summary>
        internal void Exp(Quad shift)
        {
            R0 = AttentionTile.Exp(R0, Repeat(shift.X));
            R1 = AttentionTile.Exp(R1, Repeat(shift.Y));
            R2 = AttentionTile.Exp(R2, Repeat(shift.Z));
            R3 = AttentionTile.Exp(R3, Repeat(shift.W));
        }

        internal void TimesRows(Quad factors)
        {
            R0 = AttentionTile.Times(R0, Repeat(factors.X));
            R1 = AttentionTile.Times(R1, Repeat(factors.Y));
            R2 = AttentionTile.Times(R2, Repeat(factors.Z));
            R3 = AttentionTile.Times(R3, Repeat(factors.W));
        }

        /// <summary>exp(column - shift of the column) times a factor of the column.</summary>
        internal void ExpColumns(Quad shift, Quad factors)
        {
            R0 = AttentionTile.Times(AttentionTile.Exp(R0, shift), factors);
            R1 = AttentionTile.Times(AttentionTile.Exp(R1, shift), factors);
            R2 = AttentionTile.Times(AttentionTile.Exp(R2, shift), factors);
            R3 = AttentionTile.Times(AttentionTile.Exp(R3, shift), factors);
        }

        internal void MinusRows(Quad numbers)
        {
            R0 = Minus(R0, Repeat(numbers.X));
            R1 = Minus(R1, Repeat(numbers.Y));
            R2 = Minus(R2, Repeat(numbers.Z));
            R3 = Minus(R3, Repeat(numbers.W));
        }

        internal void MinusColumns(Quad numbers)
        {
            R0 = Minus(R0, numbers);
            R1 = Minus(R1, numbers);
            R2 = Minus(R2, numbers);
            R3 = Minus(R3, numbers);
        }

        internal void Times(Square other)
        {
            R0 = AttentionTile.Times(R0, other.R0);
            R1 = AttentionTile.Times(R1, other.R1);
            R2 = AttentionTile.Times(R2, other.R2);
            R3 = AttentionTile.Times(R3, other.R3);
        }

        internal readonly void Put(ArrayView<Quad> weights, int y, int x)
        {
            ArrayView<float> numbers = weights.Cast<float>();
            PutRow(numbers, y, x, R0);
            PutRow(numbers, y + 8, x, R1);
            PutRow(numbers, y + 16, x, R2);
            PutRow(numbers, y + 24, x, R3);
        }

        private static void PutRow(ArrayView<float> numbers, int row, int x, Quad values)
        {
            int at = row * WeightStride * 4 + x;
            numbers[at] = values.X;
            numbers[at + 8] = values.Y;
            numbers[at + 16] = values.Z;
            numbers[at + 24] = values.W;
        }

        private static Quad Products(Quad sums, Quad a, Quad b0, Quad b1, Quad b2, Quad b3) => new()
        {
            X = Dot(sums.X, a, b0),
            Y = Dot(sums.Y, a, b1),
            Z = Dot(sums.Z, a, b2),
            W = Dot(sums.W, a, b3),
        };

        private static float Dot(float sum, Quad a, Quad b)
        {
            sum += a.X * b.X;
            sum += a.Y * b.Y;
            sum += a.Z * b.Z;
            sum += a.W * b.W;
            return sum;
        }

        private static Quad Kept(Quad row, float factor, int x, int count, float beyond) => new()
        {
            X = Utilities.Select(x < count, row.X * factor, beyond),
            Y = Utilities.Select(x + 8 < count, row.Y * factor, beyond),
            Z = Utilities.Select(x + 16 < count, row.Z * factor, beyond),
            W = Utilities.Select(x + 24 < count, row.W * factor, beyond),
        };

        private static Quad Minus(Quad a, Quad b) =>
            new() { X = a.X - b.X, Y = a.Y - b.Y, Z = a.Z - b.Z, W = a.W - b.W };

        // A NaN is passed over, unless it is the first: then the logit itself makes its row NaN.
        private static float Peak(Quad a) =>
            GroupTree.Larger(
                GroupTree.Larger(GroupTree.Larger(GroupTree.Larger(float.NegativeInfinity, a.X), a.Y), a.Z), a.W);

        private static float Sum(Quad a) => (a.X + a.Y) + (a.Z + a.W);
    }
}
