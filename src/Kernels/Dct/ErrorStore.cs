using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Dct;
using Kernels.DeviceCode.Optimizers;
using Kernels.Host;
using Kernels.Launching;
using Kernels.Optimizers;

namespace Kernels.Dct;

/// <summary>What the projection of a matrix has lost, kept as it is or in few bits.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class ErrorStore : IDisposable
{
    private static readonly Lock s_gate = new(); // as in ItemLauncher

    private readonly DeviceFacts _facts;
    private readonly long _length;
    private readonly ArenaTensor? _full;
    private readonly MemoryBuffer1D<byte, Stride1D.Dense>? _codes;
    private readonly ArenaTensor? _ranges;
    private readonly ItemLauncher<CommitFloats> _commit;
    private readonly ItemLauncher<ErrorDecode> _decode;
    private readonly Action<AcceleratorStream, KernelConfig, ArrayView<float>, ErrorBlocks, ArrayView<StepControl>>? _encode;
    private readonly int _maxCode;

    internal ErrorStore(Accelerator accelerator, ErrorFeedback kind, long length)
    {
        _facts = DeviceFacts.Of(accelerator);
        _length = length;
        _commit = new(accelerator, _facts);
        _decode = new(accelerator, _facts);
        if (kind == ErrorFeedback.F32)
        {
            _full = ArenaTensor.Create(accelerator, length, Storage.F32);
            return;
        }

        _maxCode = kind == ErrorFeedback.EightBit ? 255 : 15;
        _codes = accelerator.Allocate1D<byte>(kind == ErrorFeedback.EightBit ? length : (length + 1) / 2);
        _codes.MemSetToZero();
        _ranges = ArenaTensor.Create(accelerator, 2 * BlockCount, Storage.F32);
        if (_facts.Class != DeviceClass.Host)
        {
            _encode = accelerator.LoadKernel<ArrayView<float>, ErrorBlocks, ArrayView<StepControl>>(ErrorBlockKernel.Encode);
        }
    }

    private long BlockCount => (_length + ErrorBlocks.Length - 1) / ErrorBlocks.Length;

    private ErrorBlocks Blocks => new()
    {
        Codes = _codes!.View,
        Ranges = _ranges!.View.As<float>(),
        Count = _length,
        MaxCode = _maxCode,
    };

    /// <summary>The state tensors.</summary>
    internal IReadOnlyList<StateTensor> State(long[] shape) => _codes is null
        ? [new("error", _full!.View, shape)]
        :
        [
            new("error", default, [_codes.Length]) { Codes = _codes.View, Decoder = Download, DecodedLength = _length },
            new("error.range", _ranges!.View, [BlockCount, 2]),
        ];

    /// <summary>The error in F32: where it is kept so, or decoded into this.</summary>
    internal TensorView Decode(AcceleratorStream stream, ArrayView<float> into)
    {
        if (_full is not null)
        {
            return _full.View;
        }

        _decode.Run(stream, new ErrorDecode { Blocks = Blocks, To = into }, 0, _length);
        return into;
    }

    /// <summary>Keeps another error, unless the step is skipped.</summary>
    internal void Encode(AcceleratorStream stream, ArrayView<float> from, ArrayView<StepControl> control)
    {
        if (_full is not null)
        {
            _commit.Run(
                stream, new CommitFloats { From = from, To = _full.View.As<float>(), Control = control }, 0, _length);
            return;
        }

        if (_encode is null)
        {
            if (control[0].Skip == 0)
            {
                HostPool.Run(new HostEncode { From = from, Blocks = Blocks }, BlockCount, 64, _facts.Cores);
            }

            return;
        }

        int size = _facts.Class == DeviceClass.OpenClCpu ? 1 : Math.Min(64, _facts.MaxGroup);
        lock (s_gate)
        {
            _encode(stream, (checked((int)BlockCount), size), from, Blocks, control);
        }
    }

    private void Download(AcceleratorStream stream, Span<float> values)
    {
        using MemoryBuffer1D<float, Stride1D.Dense> numbers = _codes!.Accelerator.Allocate1D<float>(_length);
        Decode(stream, numbers.View);
        numbers.View.BaseView.CopyToCPU(stream, values);
    }

    public void Dispose()
    {
        _full?.Dispose();
        _codes?.Dispose();
        _ranges?.Dispose();
    }

    /// <summary>Blocks of the host; the mathematics is the kernel's.</summary>
    private struct HostEncode : IHostWork
    {
        internal ArrayView<float> From;
        internal ErrorBlocks Blocks;

        public readonly void Run(long begin, long end)
        {
            for (long block = begin; block < end; block++)
            {
                long first = block * ErrorBlocks.Length;
                int count = (int)Math.Min(ErrorBlocks.Length, Blocks.Count - first);
                float least = float.PositiveInfinity;
                float most = float.NegativeInfinity;
                float all = 0;
                for (int i = 0; i < count; i++)
                {
                    float x = From[first + i];
                    most = x > most ? x : most;
                    least = x < least ? x : least;
                    all += x - x;
                }

                float unit = Blocks.UnitOf(least, most) + all;
                Blocks.Ranges[2 * block] = least;
                Blocks.Ranges[(2 * block) + 1] = unit;
                for (int i = 0; i < count; i++)
                {
                    int code = Blocks.Encode(From[first + i], least, unit);
                    if (Blocks.MaxCode == 255)
                    {
                        Blocks.Codes[first + i] = (byte)code;
                    }
                    else if (i % 2 == 0)
                    {
                        Blocks.Codes[(first + i) / 2] = (byte)code;
                    }
                    else
                    {
                        Blocks.Codes[(first + i) / 2] |= (byte)(code << 4);
                    }
                }
            }
        }
    }
}
