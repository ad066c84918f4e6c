using ILGPU;
using ILGPU.Runtime;
using Kernels.Validation;

namespace Kernels.Optimizers;

/// <summary>The checks that every launcher of a step makes of its tensors.</summary>
internal static class StepArguments
{
    /// <summary>Refuses tensors and extras that do not fit parameters of the right length.</summary>
    /// <param name="accelerator">Where they must lie.</param>
    /// <param name="call">Parameters, gradients and extras.</param>
    /// <param name="state">The state tensors.</param>
    /// <param name="stateNames">Their names.</param>
    /// <param name="stateLengths">Their lengths.</param>
    internal static void Check(
        Accelerator accelerator, in UpdateCall call, ReadOnlySpan<ArrayView<float>> state,
        ReadOnlySpan<string> stateNames, ReadOnlySpan<long> stateLengths)
    {
        Require.Tensor(accelerator, call.P.Length, call.G, "g");
        for (int i = 0; i < state.Length; i++)
        {
            Require.Tensor(accelerator, stateLengths[i], state[i], stateNames[i]);
            Require.Apart(call.P, state[i], "p", stateNames[i]);
            Require.Apart(call.G, state[i], "g", stateNames[i]);
            for (int j = 0; j < i; j++)
            {
                Require.Apart(state[j], state[i], stateNames[j], stateNames[i]);
            }
        }

        Require.Apart(call.P, call.G, "p", "g");
        CheckExtras(accelerator, call, call.Extras, state, stateNames);
    }

    /// <summary>Refuses extras that do not fit the parameters.</summary>
    internal static void CheckExtras(
        Accelerator accelerator, in UpdateCall call, in UpdateExtras extras, ReadOnlySpan<ArrayView<float>> state,
        ReadOnlySpan<string> stateNames)
    {
        long n = call.P.Length;
        TensorView control = extras.Control;
        TensorView average = extras.Average;
        TensorView copy = extras.Copy;
        if (!control.IsEmpty)
        {
            Require.Tensor(accelerator, 2, control, "extras.Control");
        }

        if (!average.IsEmpty)
        {
            Require.Tensor(accelerator, n, average, "extras.Average");
            Require.InRange(extras.AverageRate, 0, Math.BitIncrement(1.0), "extras.AverageRate");
        }

        if (!copy.IsEmpty)
        {
            Require.Tensor(accelerator, n, copy, "extras.Copy");
            if (call.P.Storage != Storage.F32 || copy.Storage == Storage.F32)
            {
                throw new ArgumentException(
                    $"A copy is F16 or BF16 beside F32 parameters; they are {copy.Storage} and {call.P.Storage}.",
                    nameof(extras));
            }
        }

        if (extras.StochasticRounding && call.P.Storage != Storage.BF16 && copy.Storage != Storage.BF16)
        {
            throw new ArgumentException(
                "Stochastic rounding needs parameters or a copy in BF16.", nameof(extras));
        }

        if (extras.FirstElement < 0 || extras.FirstElement % 4 != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(extras), extras.FirstElement, "FirstElement must be a multiple of 4 and not negative.");
        }

        Require.Apart(call.P, average, "p", "extras.Average");
        Require.Apart(call.P, copy, "p", "extras.Copy");
        Require.Apart(call.P, control, "p", "extras.Control");
        Require.Apart(call.G, average, "g", "extras.Average");
        Require.Apart(call.G, copy, "g", "extras.Copy");
        Require.Apart(average, copy, "extras.Average", "extras.Copy");
        Require.Apart(average, control, "extras.Average", "extras.Control");
        Require.Apart(copy, control, "extras.Copy", "extras.Control");
        for (int i = 0; i < state.Length; i++)
        {
            Require.Apart(state[i], average, stateNames[i], "extras.Average");
            Require.Apart(state[i], copy, stateNames[i], "extras.Copy");
            Require.Apart(state[i], control, stateNames[i], "extras.Control");
        }
    }
}
