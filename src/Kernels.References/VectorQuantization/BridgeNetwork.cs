namespace Kernels.References.VectorQuantization;

/// <summary>One pass forward, and one backward, with an arithmetic.</summary>
internal sealed class BridgeNetwork
{
    private readonly BridgeShape _shape;
    private readonly BridgeArithmetic _math;
    private readonly IReadOnlyDictionary<string, double[]> _weights;
    private readonly Dictionary<string, double[]> _gradients = new(StringComparer.Ordinal);
    private readonly Block[] _blocks;
    private readonly double[] _patches;
    private readonly int _tokens;
    private Normal? _compressNorm;
    private Normal? _last;

    internal BridgeNetwork(
        BridgeShape shape, IReadOnlyDictionary<string, double[]> weights, double[] codes, BridgeArithmetic math)
    {
        BridgeShape.Validate(shape);
        _shape = shape;
        _weights = weights;
        _patches = codes;
        _math = math;
        _tokens = Check.Rows<double>(codes, shape.Features, nameof(codes));
        _blocks = new Block[shape.Depth];
        foreach ((string name, IReadOnlyList<int> sizes) in shape.Weights)
        {
            int count = sizes.Aggregate(1, (product, n) => product * n);
            if (!weights.TryGetValue(name, out double[]? weight) || weight.Length != count)
            {
                throw new ArgumentException($"Expected {name} with {count} numbers.", nameof(weights));
            }
        }
    }

    private int Width => _shape.Width;

    internal double[] Forward()
    {
        double[] x = Linear(_patches, "compress");
        if (_shape.CompressNorm)
        {
            _compressNorm = Normalise(x);
            x = _compressNorm.Y;
        }

        for (int i = 0; i < _blocks.Length; i++)
        {
            Normal first = Normalise(x);
            double[] qkv = Linear(first.Y, $"blocks.{i}.attention.qkv");
            (double[] mixed, double[][] p) = Attend(qkv);
            x = Add(x, Linear(mixed, $"blocks.{i}.attention.project"));
            Normal second = Normalise(x);
            double[] hidden = Linear(second.Y, $"blocks.{i}.mlp.expand");
            double[] active = Array.ConvertAll(hidden, _math.Gelu);
            x = Add(x, Linear(active, $"blocks.{i}.mlp.reduce"));
            _blocks[i] = new Block(first, qkv, p, mixed, second, hidden, active);
        }

        _last = Normalise(x);
        return Linear(_last.Y, "recover");
    }

    internal Dictionary<string, double[]> Backward(double[] grad)
    {
        double[] dx = NormaliseBack(_last!, LinearBack(_last!.Y, grad, "recover"));
        for (int i = _blocks.Length - 1; i >= 0; i--)
        {
            Block block = _blocks[i];
            double[] active = LinearBack(block.Active, dx, $"blocks.{i}.mlp.reduce");
            for (int j = 0; j < active.Length; j++)
            {
                active[j] = _math.GeluBack(block.Hidden[j], active[j]);
            }

            dx = Add(dx, NormaliseBack(block.Second, LinearBack(block.Second.Y, active, $"blocks.{i}.mlp.expand")));
            double[] mixed = LinearBack(block.Mixed, dx, $"blocks.{i}.attention.project");
            double[] qkv = AttendBack(block, mixed);
            dx = Add(dx, NormaliseBack(block.First, LinearBack(block.First.Y, qkv, $"blocks.{i}.attention.qkv")));
        }

        if (_compressNorm is not null)
        {
            dx = NormaliseBack(_compressNorm, dx);
        }

        _gradients["codes"] = LinearBack(_patches, dx, "compress");
        return _gradients;
    }

    private double[] Linear(double[] x, string name)
    {
        double[] bias = _weights[name + ".bias"];
        return _math.Multiply(
            x, false, _weights[name + ".weight"], true, _tokens, bias.Length, x.Length / Math.Max(_tokens, 1), bias);
    }

    private double[] LinearBack(double[] x, double[] dy, string name)
    {
        double[] weight = _weights[name + ".weight"];
        int rows = _weights[name + ".bias"].Length;
        int columns = weight.Length / rows;
        _gradients[name + ".weight"] = _math.Multiply(dy, true, x, false, rows, columns, _tokens);
        double[] bias = new double[rows];
        double[] column = new double[_tokens];
        for (int j = 0; j < rows; j++)
        {
            for (int t = 0; t < _tokens; t++)
            {
                column[t] = dy[(t * rows) + j];
            }

            bias[j] = _math.Sum(column);
        }

        _gradients[name + ".bias"] = bias;
        return _math.Multiply(dy, false, weight, false, _tokens, columns, rows);
    }

    private double[] Add(double[] a, double[] b)
    {
        double[] sum = new double[a.Length];
        for (int i = 0; i < sum.Length; i++)
        {
            sum[i] = _math.Round(a[i] + b[i]);
        }

        return sum;
    }

    /// <summary>(x - mean) / sqrt(variance + epsilon), the variance from the differences.</summary>
    private Normal Normalise(double[] x)
    {
        double[] y = new double[x.Length];
        double[] factor = new double[_tokens];
        double[] squares = new double[Width];
        for (int t = 0; t < _tokens; t++)
        {
            double mean = _math.Round(_math.Sum(x.AsSpan(t * Width, Width)) / Width);
            for (int i = 0; i < Width; i++)
            {
                y[(t * Width) + i] = _math.Round(x[(t * Width) + i] - mean);
                squares[i] = y[(t * Width) + i] * y[(t * Width) + i];
            }

            double variance = _math.Round(_math.Sum(squares) / Width);
            double root = 1 / Math.Sqrt(variance + _shape.Epsilon);
            factor[t] = _math.Round(root, 3 * Bounded.UnitRoundoff * root);
            for (int i = 0; i < Width; i++)
            {
                y[(t * Width) + i] = _math.Round(y[(t * Width) + i] * factor[t]);
            }
        }

        return new Normal(y, factor);
    }

    /// <summary>dx = f (dy - mean dy - y mean(dy y)).</summary>
    private double[] NormaliseBack(Normal normal, double[] dy)
    {
        double[] dx = new double[dy.Length];
        double[] products = new double[Width];
        for (int t = 0; t < _tokens; t++)
        {
            ReadOnlySpan<double> y = normal.Y.AsSpan(t * Width, Width);
            ReadOnlySpan<double> g = dy.AsSpan(t * Width, Width);
            for (int i = 0; i < Width; i++)
            {
                products[i] = g[i] * y[i];
            }

            double mean = _math.Round(_math.Sum(g) / Width);
            double along = _math.Round(_math.Sum(products) / Width);
            for (int i = 0; i < Width; i++)
            {
                double size = Math.Abs(g[i]) + Math.Abs(mean) + Math.Abs(y[i] * along);
                dx[(t * Width) + i] = _math.Round(
                    normal.Factor[t] * (g[i] - mean - (y[i] * along)),
                    4 * Bounded.UnitRoundoff * normal.Factor[t] * size);
            }
        }

        return dx;
    }

    private double[] Slice(double[] all, int columns, int start, int count)
    {
        double[] slice = new double[_tokens * count];
        for (int t = 0; t < _tokens; t++)
        {
            Array.Copy(all, (t * columns) + start, slice, t * count, count);
        }

        return slice;
    }

    private void Unslice(double[] slice, double[] all, int columns, int start, int count)
    {
        for (int t = 0; t < _tokens; t++)
        {
            Array.Copy(slice, t * count, all, (t * columns) + start, count);
        }
    }

    private (double[] Mixed, double[][] P) Attend(double[] qkv)
    {
        int size = Width / _shape.Heads;
        double[] mixed = new double[_tokens * Width];
        double[][] all = new double[_shape.Heads][];
        for (int h = 0; h < _shape.Heads; h++)
        {
            double[] q = Slice(qkv, 3 * Width, h * size, size);
            double[] k = Slice(qkv, 3 * Width, Width + (h * size), size);
            double[] v = Slice(qkv, 3 * Width, (2 * Width) + (h * size), size);
            double[] p = _math.Multiply(q, false, k, true, _tokens, _tokens, size, scale: 1 / Math.Sqrt(size));
            for (int t = 0; t < _tokens; t++)
            {
                Softmax(p.AsSpan(t * _tokens, _tokens));
            }

            all[h] = p;
            Unslice(
                _math.Multiply(p, false, v, false, _tokens, size, _tokens), mixed, Width, h * size, size);
        }

        return (mixed, all);
    }

    private void Softmax(Span<double> row)
    {
        double largest = double.NegativeInfinity;
        foreach (double x in row)
        {
            largest = Math.Max(largest, x);
        }

        foreach (ref double x in row)
        {
            x = _math.Exp(_math.Round(x - largest));
        }

        double total = _math.Sum(row);
        // A running sum that is rescaled when a larger logit comes: five roundings each time, log2 of the tokens times.
        total = _math.Round(total, total * 5 * Bounded.UnitRoundoff * Math.Log2(row.Length + 1));
        foreach (ref double x in row)
        {
            x = _math.Round(x / total, 2 * Bounded.UnitRoundoff * x / total);
        }
    }

    private double[] AttendBack(Block block, double[] grad)
    {
        int size = Width / _shape.Heads;
        double scale = 1 / Math.Sqrt(size);
        double[] dqkv = new double[block.Qkv.Length];
        for (int h = 0; h < _shape.Heads; h++)
        {
            double[] q = Slice(block.Qkv, 3 * Width, h * size, size);
            double[] k = Slice(block.Qkv, 3 * Width, Width + (h * size), size);
            double[] v = Slice(block.Qkv, 3 * Width, (2 * Width) + (h * size), size);
            double[] o = Slice(block.Mixed, Width, h * size, size);
            double[] g = Slice(grad, Width, h * size, size);
            double[] products = new double[size];
            // Computed again from the logits, with errors of its own.
            double[] p = Array.ConvertAll(block.P[h], x => _math.Round(x, 12 * Bounded.UnitRoundoff * x));
            double[] ds = _math.Multiply(g, false, v, true, _tokens, _tokens, size);
            for (int t = 0; t < _tokens; t++)
            {
                for (int i = 0; i < size; i++)
                {
                    products[i] = g[(t * size) + i] * o[(t * size) + i];
                }

                double mean = _math.Sum(products);
                for (int j = t * _tokens; j < (t + 1) * _tokens; j++)
                {
                    ds[j] = _math.Round(
                        p[j] * (ds[j] - mean), 3 * Bounded.UnitRoundoff * p[j] * (Math.Abs(ds[j]) + Math.Abs(mean)));
                }
            }

            double[] dq = _math.Multiply(ds, false, k, false, _tokens, size, _tokens, scale: scale);
            double[] dk = _math.Multiply(ds, true, q, false, _tokens, size, _tokens, scale: scale);
            double[] dv = _math.Multiply(p, true, g, false, _tokens, size, _tokens);
            Unslice(dq, dqkv, 3 * Width, h * size, size);
            Unslice(dk, dqkv, 3 * Width, Width + (h * size), size);
            Unslice(dv, dqkv, 3 * Width, (2 * Width) + (h * size), size);
        }

        return dqkv;
    }

    private sealed record Normal(double[] Y, double[] Factor);

    private sealed record Block(
        Normal First, double[] Qkv, double[][] P, double[] Mixed, Normal Second, double[] Hidden, double[] Active);
}
