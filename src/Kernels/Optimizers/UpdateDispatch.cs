using Kernels.DeviceCode.Optimizers;
using Kernels.DeviceCode.Storage;

namespace Kernels.Optimizers;

/// <summary>A launch once the types of its tensors are known.</summary>
internal interface IUpdateLaunch
{
    void Run<TParam, TGrad, TExtras>(UpdateTensors<TParam, TGrad> t, TExtras extras)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras;
}

/// <summary>From the storages and extras of a call to the types of a kernel.</summary>
internal static class UpdateDispatch
{
    /// <summary>Gives the launch the types of parameters, gradients and extras.</summary>
    internal static void Run<TLaunch>(in UpdateCall call, TLaunch launch)
        where TLaunch : struct, IUpdateLaunch
    {
        switch (call.P.Storage)
        {
            case Storage.F32:
                DispatchGradient(call, new F32(call.P.As<float>()), launch);
                break;
            case Storage.F16:
                DispatchGradient(call, new F16(call.P.As<ushort>()), launch);
                break;
            case Storage.BF16 when call.Extras.StochasticRounding:
                DispatchGradient(call, Stochastic(call, call.P), launch);
                break;
            default:
                DispatchGradient(call, new BF16(call.P.As<ushort>()), launch);
                break;
        }
    }

    private static void DispatchGradient<TParam, TLaunch>(in UpdateCall call, TParam p, TLaunch launch)
        where TParam : struct, IStorage
        where TLaunch : struct, IUpdateLaunch
    {
        switch (call.G.Storage)
        {
            case Storage.F32:
                DispatchCopy(call, Tensors(call, p, new F32(call.G.As<float>())), launch);
                break;
            case Storage.F16:
                DispatchCopy(call, Tensors(call, p, new F16(call.G.As<ushort>())), launch);
                break;
            default:
                DispatchCopy(call, Tensors(call, p, new BF16(call.G.As<ushort>())), launch);
                break;
        }
    }

    private static void DispatchCopy<TParam, TGrad, TLaunch>(
        in UpdateCall call, UpdateTensors<TParam, TGrad> t, TLaunch launch)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TLaunch : struct, IUpdateLaunch
    {
        TensorView copy = call.Extras.Copy;
        if (copy.IsEmpty)
        {
            DispatchAverage(call, t, default(NoExtras), launch);
        }
        else if (copy.Storage == Storage.F16)
        {
            DispatchAverage(call, t, new Copied<F16>(new F16(copy.As<ushort>())), launch);
        }
        else if (call.Extras.StochasticRounding)
        {
            DispatchAverage(call, t, new Copied<StochasticBF16>(Stochastic(call, copy)), launch);
        }
        else
        {
            DispatchAverage(call, t, new Copied<BF16>(new BF16(copy.As<ushort>())), launch);
        }
    }

    private static void DispatchAverage<TParam, TGrad, TExtras, TLaunch>(
        in UpdateCall call, UpdateTensors<TParam, TGrad> t, TExtras extras, TLaunch launch)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
        where TLaunch : struct, IUpdateLaunch
    {
        if (call.Extras.Average.IsValid)
        {
            DispatchControl(
                call, t, new Averaged<TExtras>(call.Extras.Average, (float)call.Extras.AverageRate, extras), launch);
        }
        else
        {
            DispatchControl(call, t, extras, launch);
        }
    }

    private static void DispatchControl<TParam, TGrad, TExtras, TLaunch>(
        in UpdateCall call, UpdateTensors<TParam, TGrad> t, TExtras extras, TLaunch launch)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage
        where TExtras : struct, IExtras
        where TLaunch : struct, IUpdateLaunch
    {
        if (call.Extras.Control.IsValid)
        {
            launch.Run(t, new Controlled<TExtras>(call.Control, extras));
        }
        else
        {
            launch.Run(t, extras);
        }
    }

    private static UpdateTensors<TParam, TGrad> Tensors<TParam, TGrad>(in UpdateCall call, TParam p, TGrad g)
        where TParam : struct, IStorage
        where TGrad : struct, IStorage => new()
        {
            P = p,
            G = g,
            A = call.A,
            B = call.B,
            C = call.C,
            GradientFactor = call.GradientFactor,
        };

    private static StochasticBF16 Stochastic(in UpdateCall call, TensorView view) =>
        new(view.As<ushort>(), call.Seed0, call.Seed1, call.RandomStep, call.Extras.FirstElement / 4);
}
