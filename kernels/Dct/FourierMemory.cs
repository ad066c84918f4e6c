using ILGPU;
using Kernels.DeviceCode.Common;
using Kernels.DeviceCode.Linear;

namespace Kernels.DeviceCode.Dct;

/// <summary>
/// Where a walk keeps the complex points of a line, or of as many lines as T has lanes. Part 2i is the real part of point i,
/// part 2i + 1 the imaginary one.
/// </summary>
internal interface IFourierMemory<T>
    where T : struct, ILinearLane<T>
{
    ComplexLane<T> Read(int point);

    void Write(int point, ComplexLane<T> value);

    T ReadPart(int part);

    void WritePart(int part, T value);

    /// <summary>A butterfly of so many points begins, behind others, of <see cref="TransformTables.StagePoints"/>.</summary>
    void Begin(int done, int points);
}

/// <summary>One line of several in the memory of a group; the imaginary parts lie behind the real ones.</summary>
internal struct GroupMemory : IFourierMemory<Lane>
{
    public ArrayView<float> View;
    public long First;
    public int Stride;
    public int Imaginary;

    public readonly ComplexLane<Lane> Read(int point)
    {
        long at = First + point * Stride;
        return ComplexLane<Lane>.Of(Lane.Of(View[at]), Lane.Of(View[at + Imaginary]));
    }

    public readonly void Write(int point, ComplexLane<Lane> value)
    {
        long at = First + point * Stride;
        View[at] = value.Re.Value;
        View[at + Imaginary] = value.Im.Value;
    }

    public readonly Lane ReadPart(int part) => Lane.Of(View[At(part)]);

    public readonly void WritePart(int part, Lane value) => View[At(part)] = value.Value;

    public readonly void Begin(int done, int points)
    {
    }

    private readonly long At(int part) => First + (part >> 1) * Stride + (part & 1) * Imaginary;
}

/// <summary>Sixteen lines, part by part, and what to ask for meanwhile.</summary>
internal struct SixteenMemory : IFourierMemory<Sixteen>
{
    public ArrayView<Sixteen> View;
    public long First;
    public SixteensAhead Ahead;

    public readonly ComplexLane<Sixteen> Read(int point) =>
        ComplexLane<Sixteen>.Of(View[First + 2 * point], View[First + 2 * point + 1]);

    public readonly void Write(int point, ComplexLane<Sixteen> value)
    {
        View[First + 2 * point] = value.Re;
        View[First + 2 * point + 1] = value.Im;
    }

    public readonly Sixteen ReadPart(int part) => View[First + part];

    public readonly void WritePart(int part, Sixteen value) => View[First + part] = value;

    public readonly void Begin(int done, int points)
    {
        Ahead.Input.AskFor(done, points);
        Ahead.Output.AskFor(done, points);
    }
}
