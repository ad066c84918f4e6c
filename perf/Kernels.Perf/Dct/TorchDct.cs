#if PEERS
using static TorchSharp.torch;

namespace Kernels.Perf.Dct;

/// <summary>DCT-II of the rows of a square matrix, in the two ways that a user of libtorch has.</summary>
internal sealed class TorchDct
{
    private readonly Tensor _order;
    private readonly Tensor _turns;

    /// <summary>Makes the matrix and the tables in binary64, and checks that both ways agree.</summary>
    internal TorchDct(int size)
    {
        set_num_threads(2);
        using var scope = NewDisposeScope();
        Tensor k = arange(size, ScalarType.Float64);
        Tensor angles = (k + 0.5).unsqueeze(1) * k.unsqueeze(0) * (Math.PI / size);
        Tensor scale = full(size, Math.Sqrt(2.0 / size), ScalarType.Float64);
        scale[0] = Math.Sqrt(1.0 / size);
        Matrix = (angles.cos_() * scale).to(ScalarType.Float32).MoveToOuterDisposeScope();
        Tensor even = arange(0, size, 2, ScalarType.Int64);
        _order = cat([even, (even + 1).flip(0)]).MoveToOuterDisposeScope();
        Tensor half = arange((size / 2) + 1, ScalarType.Float64) * (-Math.PI / (2.0 * size));
        Tensor factor = scale.narrow(0, 0, (size / 2) + 1);
        _turns = complex((half.cos() * factor).to(ScalarType.Float32), (half.sin() * factor).to(ScalarType.Float32))
            .MoveToOuterDisposeScope();
        Tensor probe = rand(4, size) - 0.5f;
        float off = (ByProduct(probe) - ByFourier(probe)).abs().max().item<float>();
        if (!(off < 1e-4f))
        {
            throw new InvalidOperationException($"The two ways are {off} apart.");
        }
    }

    /// <summary>The matrix C of S = G C.</summary>
    internal Tensor Matrix { get; }

    /// <summary>2 n multiplications and additions for each number.</summary>
    internal Tensor ByProduct(Tensor x) => x.mm(Matrix);

    /// <summary>Makhoul 1980: even numbers, then odd ones backwards; a real Fourier transform; a turn.</summary>
    internal Tensor ByFourier(Tensor x)
    {
        Tensor turned = fft.rfft(x.index_select(1, _order)) * _turns;
        // The real parts are the first half, the imaginary ones from behind, negated, the second.
        long half = x.shape[1] / 2;
        return cat([turned.real, turned.imag.narrow(1, 1, half - 1).flip(1).neg()], 1);
    }
}
#endif
