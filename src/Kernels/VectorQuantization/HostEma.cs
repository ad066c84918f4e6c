using System.Numerics;
using ILGPU.Runtime;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Host;

namespace Kernels.VectorQuantization;

/// <summary><see cref="EmaEnd{TCode}"/> in the host's memory, several dimensions at once.</summary>
internal readonly unsafe struct HostEma<TCode> : IHostSegmentEnd
    where TCode : struct, IStorage
{
    private readonly EmaEnd<TCode> _end;
    private readonly float* _sums;
    private readonly byte* _codes;
    private readonly int _dimension;

    internal HostEma(in EmaEnd<TCode> end, TensorView codes, int dimension)
    {
        _end = end;
        _sums = (float*)end.Sums.LoadEffectiveAddressAsPtr();
        _codes = HostTensors.Address(codes);
        _dimension = dimension;
    }

    public float* Place(int segment, float* room) => room;

    public void Take(int segment, int count, float* sum)
    {
        Quad opened = _end.Open(segment, count, 0);
        if (opened.Y == 0f)
        {
            return;
        }

        long first = (long)segment * _dimension;
        float* sums = _sums + first;
        Move(sums, sum);
        if (opened.Z == 0f)
        {
            return;
        }

        if (typeof(TCode) == typeof(F32))
        {
            Divide(sums, opened.X, (float*)_codes + first);
            return;
        }

        Divide(sums, opened.X, sum);
        for (int i = 0; i < _dimension; i++)
        {
            ((ushort*)_codes)[first + i] = (ushort)default(TCode).Encode(sum[i], 0);
        }
    }

    private void Move(float* sums, float* batch)
    {
        EmaMove move = _end.Arguments.Move;
        int i = 0;
        for (; i <= _dimension - Vector<float>.Count; i += Vector<float>.Count)
        {
            ((move.Decay * Vector.Load(sums + i)) + (move.Fresh * Vector.Load(batch + i))).Store(sums + i);
        }

        for (; i < _dimension; i++)
        {
            sums[i] = move.Apply(sums[i], batch[i]);
        }
    }

    private void Divide(float* sums, float size, float* codes)
    {
        int i = 0;
        for (; i <= _dimension - Vector<float>.Count; i += Vector<float>.Count)
        {
            (Vector.Load(sums + i) / new Vector<float>(size)).Store(codes + i);
        }

        for (; i < _dimension; i++)
        {
            codes[i] = sums[i] / size;
        }
    }
}
