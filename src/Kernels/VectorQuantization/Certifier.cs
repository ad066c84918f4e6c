using System.Diagnostics.CodeAnalysis;
using ILGPU;
using ILGPU.Runtime;
using Kernels.DeviceCode.Storage;
using Kernels.DeviceCode.VectorQuantization;
using Kernels.Launching;

namespace Kernels.VectorQuantization;

/// <summary>The scratch memory of certified searches.</summary>
internal sealed class CertifyScratch : IDisposable
{
    private readonly MemoryBuffer1D<float, Stride1D.Dense> _numbers;
    private readonly long _reaches;
    private readonly long _limits;

    internal CertifyScratch(Accelerator accelerator, long results, int codes, int heads)
    {
        _reaches = (long)heads * codes;
        _limits = (long)heads * CertifyArguments.Strips;
        _numbers = accelerator.Allocate1D<float>(_reaches + _limits + results);
    }

    internal CertifyArguments Arguments => new()
    {
        Reaches = _numbers.View.SubView(0, _reaches),
        Limits = _numbers.View.SubView(_reaches, _limits),
        Thresholds = _numbers.View.SubView(_reaches + _limits, _numbers.Length - _reaches - _limits),
    };

    internal long Bytes => _numbers.Length * 4;

    public void Dispose() => _numbers.Dispose();
}

/// <summary>The launches between a search and its result that make it certain: <see cref="NearestCertify"/>.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class Certifier<TRow, TCode, TMetric>
    where TRow : struct, IStorage
    where TCode : struct, IStorage
    where TMetric : struct, ICodeMetric
{
    // As in ItemLauncher: two threads must not set an OpenCL kernel's arguments at once.
    private static readonly Lock s_gate = new();

    private readonly CertifyScratch _scratch;
    private readonly DeviceFacts _facts;
    private readonly ItemLauncher<CodeLimitWork> _limits;
    private readonly ItemLauncher<CertifyOpenWork<TRow, TMetric>> _open;
    private readonly Action<AcceleratorStream, KernelConfig, TRow, TCode, NearestArguments, CertifyArguments, int> _rows;

    internal Certifier(Accelerator accelerator, DeviceFacts facts, CertifyScratch scratch)
    {
        _scratch = scratch;
        _facts = facts;
        _limits = new(accelerator, facts);
        _open = new(accelerator, facts);
        _rows = accelerator.LoadKernel<TRow, TCode, NearestArguments, CertifyArguments, int>(
            NearestCertify.Rows<TRow, TCode, TMetric>);
    }

    /// <summary>Merges the splits, and puts the exact nearest code where the scores leave it open.</summary>
    internal void Run(AcceleratorStream stream, TRow rows, TCode codes, in NearestArguments t, long grain)
    {
        CertifyArguments certify = _scratch.Arguments;
        var limits = new CodeLimitWork { Reaches = certify.Reaches, Limits = certify.Limits, CodeCount = t.Codes };
        _limits.Run(stream, limits, 0, certify.Limits.Length, 1);
        var open = new CertifyOpenWork<TRow, TMetric> { Rows = rows, Arguments = t, Certify = certify };
        long results = (long)t.Rows * t.Heads;
        _open.Run(stream, open, 0, results, grain);
        int items = NearestCertify.GroupSize;
        long rowsOfGroup = NearestCertify.RowsOfGroup;
        if (_facts.Class == DeviceClass.Host)
        {
            // A launch costs a millisecond here, and an item is a thread of the system.
            if (!AnyOpen(certify.Thresholds, results))
            {
                return;
            }

            items = 1;
            rowsOfGroup = (results + _facts.Cores - 1) / _facts.Cores;
        }

        int groups = checked((int)((results + rowsOfGroup - 1) / rowsOfGroup));
        lock (s_gate)
        {
            _rows(stream, (groups, items), rows, codes, t, certify, checked((int)rowsOfGroup));
        }
    }

    private static unsafe bool AnyOpen(ArrayView<float> thresholds, long results)
    {
        var all = (float*)thresholds.LoadEffectiveAddressAsPtr();
        for (long i = 0; i < results; i++)
        {
            if (!float.IsNaN(all[i]))
            {
                return true;
            }
        }

        return false;
    }
}
