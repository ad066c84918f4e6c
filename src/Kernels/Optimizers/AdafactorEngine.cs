using System.Diagnostics.CodeAnalysis;
using ILGPU.Runtime;

namespace Kernels.Optimizers;

/// <summary>Adafactor: a set of launches for each parameter; its state is a row and a column, or a vector.</summary>
[RequiresDynamicCode(LoadedKernels.Reason)]
internal sealed class AdafactorEngine : WholeTensorEngine
{
    private readonly Adafactor[] _adafactors;
    private readonly ArenaTensor[] _rows;
    private readonly ArenaTensor[] _columns;

    internal AdafactorEngine(Accelerator accelerator, Arena parameters)
        : base(accelerator, parameters)
    {
        foreach (Parameter parameter in parameters.Parameters)
        {
            if (parameter.Shape.Count > 2 || parameter.Shape.Any(n => parameter.Shape.Count == 2 && n > int.MaxValue))
            {
                throw new ArgumentException(
                    $"Adafactor takes vectors and matrices; '{parameter.Name}' is "
                    + $"[{string.Join(", ", parameter.Shape)}].",
                    nameof(parameters));
            }
        }

        _adafactors = [.. parameters.Parameters.Select(p => p.Shape.Count == 2
            ? new Adafactor(accelerator, (int)p.Shape[0], (int)p.Shape[1])
            : new Adafactor(accelerator, p.Length))];
        _rows = [.. _adafactors.Select(a => ArenaTensor.Create(accelerator, a.RowVarianceLength, Storage.F32))];
        _columns = [.. _adafactors.Select(a => ArenaTensor.Create(accelerator, a.ColumnVarianceLength, Storage.F32))];
    }

    internal override IReadOnlyList<StateTensor> StateOf(int parameter)
    {
        Adafactor adafactor = _adafactors[parameter];
        TensorView rows = _rows[parameter].View;
        return Arena.Parameters[parameter].Shape.Count == 2
            ?
            [
                new("row_var", rows, [adafactor.RowVarianceLength, 1]),
                new("col_var", _columns[parameter].View, [1, adafactor.ColumnVarianceLength]),
            ]
            : [new("variance", rows, [.. Arena.Parameters[parameter].Shape])];
    }

    internal override bool Fits(OptimizerOptions options) => options is AdafactorOptions;

    public override void Dispose()
    {
        Array.ForEach(_adafactors, a => a.Dispose());
        Array.ForEach(_rows, r => r.Dispose());
        Array.ForEach(_columns, c => c.Dispose());
    }

    private protected override void Launch(AcceleratorStream stream, in UpdateCall call, int[] steps)
    {
        for (int i = 0; i < steps.Length; i++)
        {
            if (!IsFrozen(i))
            {
                UpdateCall part = Arena.CallOf(call, i);
                part.A = _rows[i].View.As<float>();
                part.B = _columns[i].View.As<float>();
                part.Step = steps[i];
                _adafactors[i].Step(stream, part, (AdafactorOptions)Options[i]);
            }
        }
    }
}
