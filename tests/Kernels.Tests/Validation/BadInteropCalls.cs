using ILGPU;
using Kernels.Interop;

namespace Kernels.Tests.Validation;

public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> Foreign()
    {
        const string Made = "ForeignTensor..ctor";
        yield return Bad<ArgumentNullException>(
            Made, "null", "accelerator", _ => new ForeignTensor(null!, 64, ElementType.F32, [1]));
        yield return Bad<ArgumentOutOfRangeException>(
            Made, "no type", "type", f => new ForeignTensor(f.Accelerator, 64, (ElementType)99, [1]));
        yield return Bad<ArgumentOutOfRangeException>(
            Made, "a negative length", "shape", f => new ForeignTensor(f.Accelerator, 64, ElementType.F32, [2, -1]));
        yield return Bad<ArgumentException>(
            Made, "too large", "shape", f => new ForeignTensor(f.Accelerator, 64, ElementType.F32, [1L << 31, 1L << 31]));
        yield return Bad<ArgumentException>(
            Made, "no address", "address", f => new ForeignTensor(f.Accelerator, 0, ElementType.F32, [1]));
        yield return Bad<ArgumentException>(
            Made, "an odd address", "address", f => new ForeignTensor(f.Accelerator, 65, ElementType.F16, [1]));
        yield return Bad<ArgumentException>(
            Made, "around the end of memory", "address", f => new ForeignTensor(f.Accelerator, -4, ElementType.F32, [2]));

        const string Out = "DLPack.Export";
        yield return Bad<ArgumentNullException>(
            "DLPack.Import", "null", "managed", f => DLPack.Import(f.Accelerator, 0, DLPackForm.Legacy));
        yield return Bad<ArgumentOutOfRangeException>(
            "DLPack.Import", "no form", "form", f => DLPack.Import(f.Accelerator, 64, (DLPackForm)2));
        yield return Bad<ArgumentException>(
            Out, "another number of elements", "shape", f => DLPack.Export(f.P, [5, 3], DLPackForm.Legacy, null));
        yield return Bad<ArgumentOutOfRangeException>(
            Out, "a negative length", "shape", f => DLPack.Export(f.P, [-16], DLPackForm.Legacy, null));
        yield return Bad<ArgumentOutOfRangeException>(
            Out, "no form", "form", f => DLPack.Export(f.P, [16], (DLPackForm)2, null));
        yield return Bad<ArgumentException>(
            Out, "no buffer", "view", _ => DLPack.Export(default(TensorView), [0], DLPackForm.Legacy, null));
        yield return Bad<ArgumentException>(
            Out, "another type", "view", _ => DLPack.Export(default(ArrayView<double>), [0], DLPackForm.Legacy, null));
        yield return Bad<ObjectDisposedException>(
            Out, "disposed", null, f => DLPack.Export(f.Disposed, [16], DLPackForm.Legacy, null));
    }
}
