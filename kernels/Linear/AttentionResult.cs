using ILGPU;
using Kernels.DeviceCode.Common;

namespace Kernels.DeviceCode.Linear;

/// <summary>What an item has of the result.</summary>
internal static partial class AttentionTile
{
    /// <summary>4 x 8 numbers of the result: rows y + 8 i, dimensions 4 x and 32 + 4 x on.</summary>
    private struct Result
    {
        public Quad L0;
        public Quad L1;
        public Quad L2;
        public Quad L3;
        public Quad H0;
        public Quad H1;
        public Quad H2;
        public Quad H3;

        internal void Times(Quad factors)
        {
            L0 = AttentionTile.Times(L0, Repeat(factors.X));
            H0 = AttentionTile.Times(H0, Repeat(factors.X));
            L1 = AttentionTile.Times(L1, Repeat(factors.Y));
            H1 = AttentionTile.Times(H1, Repeat(factors.Y));
            L2 = AttentionTile.Times(L2, Repeat(factors.Z));
            H2 = AttentionTile.Times(H2, Repeat(factors.Z));
            L3 = AttentionTile.Times(L3, Repeat(factors.W));
            H3 = AttentionTile.Times(H3, Repeat(factors.W));
        }

        /// <summary>Adds the rows of a tile, weighted.</summary>
        internal void Mix(ArrayView<Quad> weights, ArrayView<Quad> tile, int y, int x)
        {
            for (int p = 0; p < Side / 4; p++)
            {
                Quad w0 = weights[y * WeightStride + p];
                Quad w1 = weights[(y + 8) * WeightStride + p];
                Quad w2 = weights[(y + 16) * WeightStride + p];
                Quad w3 = weights[(y + 24) * WeightStride + p];
                int at = p * 4 * Stride + x;
                Add(w0.X, w1.X, w2.X, w3.X, tile[at], tile[at + 8]);
                Add(w0.Y, w1.Y, w2.Y, w3.Y, tile[at + Stride], tile[at + Stride + 8]);
                Add(w0.Z, w1.Z, w2.Z, w3.Z, tile[at + 2 * Stride], tile[at + 2 * Stride + 8]);
                Add(w0.W, w1.W, w2.W, w3.W, tile[at + 3 * Stride], tile[at + 3 * Stride + 8]);
            }
        }

        internal readonly void Store(
            ArrayView<float> view, AttentionArguments t, Place place, int y, int x, long stride, int offset)
        {
            int dimension = place.Slice * Depth + 4 * x;
            long at = (place.Row + y) * stride + offset + dimension;
            int left = t.Tokens - place.Row - y;
            int low = t.Size - dimension;
            Store(view, at, left > 0, low, L0, H0);
            Store(view, at + 8 * stride, left > 8, low, L1, H1);
            Store(view, at + 16 * stride, left > 16, low, L2, H2);
            Store(view, at + 24 * stride, left > 24, low, L3, H3);
        }

        private void Add(float w0, float w1, float w2, float w3, Quad low, Quad high)
        {
            L0 = Added(L0, w0, low);
            H0 = Added(H0, w0, high);
            L1 = Added(L1, w1, low);
            H1 = Added(H1, w1, high);
            L2 = Added(L2, w2, low);
            H2 = Added(H2, w2, high);
            L3 = Added(L3, w3, low);
            H3 = Added(H3, w3, high);
        }

        private static Quad Added(Quad sum, float factor, Quad b) => new()
        {
            X = sum.X + factor * b.X,
            Y = sum.Y + factor * b.Y,
            Z = sum.Z + factor * b.Z,
            W = sum.W + factor * b.W,
        };

        private static void Store(ArrayView<float> view, long at, bool isRow, int dimensions, Quad low, Quad high)
        {
            if (isRow)
            {
                StoreFour(view, at, dimensions, low);
                StoreFour(view, at + 32, dimensions - 32, high);
            }
        }

        private static void StoreFour(ArrayView<float> view, long at, int dimensions, Quad values)
        {
            if (dimensions > 0)
            {
                view[at] = values.X;
            }

            if (dimensions > 1)
            {
                view[at + 1] = values.Y;
            }

            if (dimensions > 2)
            {
                view[at + 2] = values.Z;
            }

            if (dimensions > 3)
            {
                view[at + 3] = values.W;
            }
        }
    }
}
