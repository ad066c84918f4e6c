using Kernels.Cuda;
using Kernels.Devices;
using Kernels.Linear;
using Kernels.Optimizers;
using Kernels.Serialization;
using Kernels.Tests.Support;

namespace Kernels.Tests.Validation;

/// <summary>Every bad call gives a typed exception that names the argument, and changes nothing.</summary>
public sealed partial class BadCallTests
{
    public static TheoryData<BadCall> Calls() => [.. All()];

    [Theory]
    [MemberData(nameof(Calls))]
    public void Is_refused_by_name_and_changes_nothing(BadCall call)
    {
        using var fixture = new BadCallFixture();
        uint[][] before = [.. fixture.Tensors.Select(t => t.Bits())];
        byte[] optimizer = Saved(fixture.Optimizer);
        Exception thrown = Record.Exception(() => call.Call(fixture))!;
        Assert.NotNull(thrown);
        Assert.True(call.Exception.IsInstanceOfType(thrown), $"{call} threw {thrown}");
        if (call.Argument is not null)
        {
            string? argument = thrown is ArgumentException e ? e.ParamName : null;
            Assert.Equal(call.Argument, argument);
        }

        fixture.Accelerator.Synchronize();
        Assert.Equal(before, [.. fixture.Tensors.Select(t => t.Bits())]);
        Assert.Equal(optimizer, Saved(fixture.Optimizer));
    }

    private static byte[] Saved(Optimizer optimizer)
    {
        using var stream = new MemoryStream();
        optimizer.Save(stream);
        return stream.ToArray();
    }

    private static IEnumerable<BadCall> All() => Sessions().Concat(Launchers()).Concat(Optimizers()).Concat(Norms())
        .Concat(Options()).Concat(Tensorwise()).Concat(Dense()).Concat(WithCodes()).Concat(Bridges()).Concat(Learning())
        .Concat(Codebooks()).Concat(Transforms()).Concat(Selectors()).Concat(Orthogonal()).Concat(Files()).Concat(Fits())
        .Concat(PackedCodes()).Concat(LearnedCodes()).Concat(Foreign());

    private static IEnumerable<BadCall> Sessions()
    {
        yield return Bad<ArgumentException>("Session.Open", "no selector", "wish", _ => Session.Open("abacus"));
        yield return Bad<ArgumentException>("Session.Open", "no index", "wish", _ => Session.Open("cpu:one"));
        yield return Bad<InvalidOperationException>("Session.Open", "no such device", null, _ => Session.Open("cpu:99"));
        yield return Bad<ArgumentNullException>("Session.Use", "null", "accelerator", _ => Session.Use(null!));
        yield return Bad<ArgumentException>(
            "Session.Use", "another's stream", "stream", f => Session.Use(f.Accelerator, f.Foreign.DefaultStream));
        yield return Bad<ObjectDisposedException>("Session.Synchronize", "disposed", null, f =>
        {
            Session session = Session.Use(f.Accelerator);
            session.Dispose();
            session.Synchronize();
        });
        yield return Bad<ArgumentOutOfRangeException>(
            "PrimaryContext.Open", "negative device", "device", _ => PrimaryContext.Open(-1));
        yield return Bad<InvalidOperationException>(
            "PrimaryContext.Open", "no such device, or no driver", null, _ => PrimaryContext.Open(99, ""));
    }

    private static IEnumerable<BadCall> Launchers()
    {
        const string Step = "UpdateLauncher.Step";
        yield return Bad<ArgumentNullException>(
            "UpdateLauncher..ctor", "null", "accelerator", _ => new UpdateLauncher(null!, new AdamOptions()));
        yield return Bad<ArgumentNullException>(
            "UpdateLauncher..ctor", "null", "options", f => new UpdateLauncher(f.Accelerator, null!));
        yield return Bad<ArgumentNullException>(Step, "null stream", "stream", f => f.Launcher.Step(null!, f.P, f.G, [f.M, f.V], 1));
        yield return Bad<ArgumentException>(
            Step, "another's stream", "stream", f => f.Launcher.Step(f.Foreign.DefaultStream, f.P, f.G, [f.M, f.V], 1));
        yield return Bad<ArgumentException>(
            Step, "short gradient", "g", f => f.Launcher.Step(f.Stream, f.P, f.G.Slice(0, 15), [f.M, f.V], 1));
        yield return Bad<ArgumentException>(
            Step, "another's parameters", "p", f => f.Launcher.Step(f.Stream, f.ForeignTensor.View, f.G, [f.M, f.V], 1));
        yield return Bad<ArgumentException>(
            Step, "another's gradient", "g", f => f.Launcher.Step(f.Stream, f.P, f.ForeignTensor.View, [f.M, f.V], 1));
        yield return Bad<ObjectDisposedException>(
            Step, "disposed gradient", null, f => f.Launcher.Step(f.Stream, f.P, f.Disposed, [f.M, f.V], 1));
        yield return Bad<ArgumentException>(
            Step, "overlap", "g", f => f.Launcher.Step(f.Stream, f.P, f.P, [f.M, f.V], 1));
        yield return Bad<ArgumentException>(
            Step, "partial overlap", "g",
            f => f.Launcher.Step(f.Stream, f.P.Slice(0, 8), f.P.Slice(7, 8), [f.M.SubView(0, 8), f.V.SubView(0, 8)], 1));
        yield return Bad<ArgumentException>(Step, "a state missing", "state", f => f.Launcher.Step(f.Stream, f.P, f.G, [f.M], 1));
        yield return Bad<ArgumentException>(
            Step, "short state", "state[1]", f => f.Launcher.Step(f.Stream, f.P, f.G, [f.M, f.V.SubView(0, 3)], 1));
        yield return Bad<ArgumentException>(
            Step, "state twice", "state[1]", f => f.Launcher.Step(f.Stream, f.P, f.G, [f.M, f.M], 1));
        yield return Bad<ArgumentException>(
            Step, "state is the gradient", "state[0]", f => f.Launcher.Step(f.Stream, f.P, f.G, [f.Tensors[1].Floats, f.V], 1));
        yield return Bad<ArgumentException>(
            Step, "empty view", "state[0]", f => f.Launcher.Step(f.Stream, f.P, f.G, [default, f.V], 1));
        yield return Bad<ArgumentOutOfRangeException>(
            Step, "step 0", "step", f => f.Launcher.Step(f.Stream, f.P, f.G, [f.M, f.V], 0));
        yield return Bad<ArgumentException>(
            Step, "another algorithm", "options", f => f.Launcher.Step(f.Stream, f.P, f.G, [f.M, f.V], 1, new LionOptions()));
        yield return Bad<ArgumentOutOfRangeException>(
            Step, "NaN rate", "options",
            f => f.Launcher.Step(f.Stream, f.P, f.G, [f.M, f.V], 1, new AdamOptions { LearningRate = double.NaN }));
        foreach ((string what, string argument, Func<BadCallFixture, UpdateExtras> extras) in Extras())
        {
            Type exception = what.StartsWith("range", StringComparison.Ordinal)
                ? typeof(ArgumentOutOfRangeException)
                : typeof(ArgumentException);
            yield return new BadCall(
                Step, what, exception, argument, f => f.Launcher.Step(f.Stream, f.P, f.G, [f.M, f.V], 1, null, extras(f)));
        }
    }

    private static IEnumerable<(string What, string Argument, Func<BadCallFixture, UpdateExtras> Extras)> Extras()
    {
        yield return ("control of 1", "extras", f => new UpdateExtras { Control = f.X.SubView(0, 1) });
        yield return ("short average", "extras", f => new UpdateExtras { Average = f.X.SubView(0, 3) });
        yield return ("range of the rate", "extras", f => new UpdateExtras { Average = f.X, AverageRate = 1.5 });
        yield return ("range of the rate, NaN", "extras", f => new UpdateExtras { Average = f.X, AverageRate = double.NaN });
        yield return ("average is a state", "extras.Average", f => new UpdateExtras { Average = f.V, AverageRate = 0.5 });
        yield return ("copy in F32", "extras", f => new UpdateExtras { Copy = f.X });
        yield return ("stochastic F32", "extras", f => new UpdateExtras { StochasticRounding = true });
        yield return ("range of the first element", "extras", f => new UpdateExtras { FirstElement = 2 });
        yield return ("control in the average", "extras.Control", f => new UpdateExtras
        {
            Average = f.X,
            AverageRate = 0.5,
            Control = f.X.SubView(0, 2),
        });
    }

    private static IEnumerable<BadCall> Optimizers()
    {
        var one = new Parameter("w", new float[4]);
        yield return Bad<ArgumentNullException>(
            "Optimizer..ctor", "null", "session", _ => new Optimizer(null!, new AdamOptions(), [one]));
        yield return Bad<ArgumentNullException>(
            "Optimizer..ctor", "null", "options", _ => new Optimizer(TestDevices.Session, null!, [one]));
        yield return Bad<ArgumentNullException>(
            "Optimizer..ctor", "null", "parameters", _ => new Optimizer(TestDevices.Session, new AdamOptions(), null!));
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "a name twice", "parameters",
            _ => new Optimizer(TestDevices.Session, new AdamOptions(), [one, one]));
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "options of another algorithm", "options",
            _ => new Optimizer(TestDevices.Session, new AdamOptions(), [one with { Options = new LionOptions() }]));
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "a master of F32", "settings",
            _ => new Optimizer(TestDevices.Session, new AdamOptions(), [one], new OptimizerSettings { Master = true }));
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "stochastic F16", "settings", _ => new Optimizer(
                TestDevices.Session, new AdamOptions(), [one],
                new OptimizerSettings { Parameters = Storage.F16, StochasticRounding = true }));
        yield return Bad<ArgumentOutOfRangeException>(
            "Optimizer..ctor", "negative norm", "settings", _ => new Optimizer(
                TestDevices.Session, new AdamOptions(), [one], new OptimizerSettings { MaxGradientNorm = -1 }));
        yield return Bad<ArgumentOutOfRangeException>(
            "Optimizer..ctor", "no storage", "settings", _ => new Optimizer(
                TestDevices.Session, new AdamOptions(), [one], new OptimizerSettings { Gradients = (Storage)9 }));
        yield return Bad<ArgumentOutOfRangeException>(
            "Optimizer..ctor", "no state storage", "settings", _ => new Optimizer(
                TestDevices.Session, new AdamOptions(), [one], new OptimizerSettings { StateStorage = (StateStorage)9 }));
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "8-bit Lion", "settings", _ => new Optimizer(
                TestDevices.Session, new LionOptions(), [one],
                new OptimizerSettings { StateStorage = StateStorage.EightBit }));
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "8-bit AMSGrad", "settings", _ => new Optimizer(
                TestDevices.Session, new AdamOptions { AmsGrad = true }, [one],
                new OptimizerSettings { StateStorage = StateStorage.EightBit }));
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "8-bit LAMB", "settings", _ => new Optimizer(
                TestDevices.Session, new LambOptions(), [one],
                new OptimizerSettings { StateStorage = StateStorage.EightBit }));
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "borrowed from another", "w.View", f => new Optimizer(
                TestDevices.Session, new AdamOptions(), [new Parameter("w", f.ForeignTensor.View, f.G)]));
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "borrowed twice", "w.Gradient", f => new Optimizer(
                TestDevices.Session, new AdamOptions(), [new Parameter("w", f.P, f.P)]));
        yield return Bad<ArgumentException>("Parameter..ctor", "no name", "name", _ => new Parameter(" ", 3));
        yield return Bad<ArgumentOutOfRangeException>("Parameter..ctor", "negative length", "shape", _ => new Parameter("w", -1));
        yield return Bad<ArgumentException>("Parameter..ctor", "shape", "values", _ => new Parameter("w", new float[5], 2, 2));
        yield return Bad<ArgumentException>("Parameter..ctor", "gradient", "gradient", f => new Parameter("w", f.P, f.G.Slice(0, 3)));
        yield return Bad<ObjectDisposedException>("Optimizer.Step", "disposed", null, f => f.Gone.Step());
        yield return Bad<InvalidOperationException>("Optimizer.Step", "two parameters", null, f => f.Optimizer.Step(new float[16]));
        yield return Bad<ArgumentException>("Optimizer.View", "unknown", "name", f => f.Optimizer.View("x"));
        yield return Bad<ArgumentException>("Optimizer.Gradient", "unknown", "name", f => f.Optimizer.Gradient("x"));
        yield return Bad<InvalidOperationException>("Optimizer.Copy", "no master", null, f => f.Optimizer.Copy("w"));
        yield return Bad<InvalidOperationException>("Optimizer.Average", "no average", null, f => f.Optimizer.Average("w"));
        yield return Bad<ArgumentException>("Optimizer.State", "unknown", "state", f => f.Optimizer.State("w", "momentum"));
        yield return Bad<ArgumentException>(
            "Optimizer.DownloadState", "unknown", "state", f => f.Optimizer.DownloadState("w", "momentum", new float[16]));
        yield return Bad<ArgumentException>(
            "Optimizer.DownloadState", "short", "values", f => f.Optimizer.DownloadState("w", "exp_avg", new float[3]));
        yield return Bad<ArgumentException>("Optimizer.State", "8-bit codes", "state", _ =>
        {
            using var optimizer = new Optimizer(
                TestDevices.Session, new AdamOptions(), [new Parameter("w", new float[4096])],
                new OptimizerSettings { StateStorage = StateStorage.EightBit });
            optimizer.State("w", "exp_avg");
        });
        yield return Bad<ArgumentException>("Optimizer.StepsOf", "unknown", "name", f => f.Optimizer.StepsOf("x"));
        yield return Bad<ArgumentException>("Optimizer.Upload", "short", "values", f => f.Optimizer.Upload("w", new float[3]));
        yield return Bad<ArgumentException>("Optimizer.Download", "short", "source", f => f.Optimizer.Download("w", new float[3]));
        yield return Bad<ArgumentException>("Optimizer.SetGradient", "short", "values", f => f.Optimizer.SetGradient("w", new float[3]));
        yield return Bad<ArgumentNullException>("Optimizer.SetOptions", "null", "options", f => f.Optimizer.SetOptions("w", null!));
        yield return Bad<ArgumentException>(
            "Optimizer.SetOptions", "another algorithm", "options", f => f.Optimizer.SetOptions("w", new LionOptions()));
        yield return Bad<ArgumentException>("Optimizer.SetFrozen", "unknown", "name", f => f.Optimizer.SetFrozen("x", true));
        yield return Bad<ArgumentOutOfRangeException>(
            "Optimizer.LearningRateFactor", "NaN", "value", f => f.Optimizer.LearningRateFactor = double.NaN);
        yield return Bad<InvalidOperationException>("Optimizer.GradientNorm", "no clipping", null, f => _ = f.Optimizer.GradientNorm);
        yield return Bad<ArgumentNullException>("Optimizer.Save", "null", "stream", f => f.Optimizer.Save(null!));
        yield return Bad<ArgumentNullException>("Optimizer.Load", "null", "stream", f => f.Optimizer.Load(null!));
        yield return Bad<InvalidDataException>("Optimizer.Load", "no file", null, f => f.Optimizer.Load(new MemoryStream([1, 2, 3])));
        yield return Bad<ArgumentException>("Optimizer.LoadShards", "none", "streams", f => f.Optimizer.LoadShards());
        yield return Bad<ArgumentException>("Optimizer.LoadShards", "null", "streams", f => f.Optimizer.LoadShards(new MemoryStream(), null!));
        yield return Bad<InvalidDataException>("Optimizer.LoadShards", "no file", null, f => f.Optimizer.LoadShards(new MemoryStream([1, 2, 3])));
        yield return Bad<ArgumentOutOfRangeException>("ParameterShards.Divide", "no shard", "shards", _ => ParameterShards.Divide([1], 0));
        yield return Bad<ArgumentOutOfRangeException>("ParameterShards.Divide", "negative", "lengths", _ => ParameterShards.Divide([1, -1], 2));
    }

    private static IEnumerable<BadCall> Norms()
    {
        yield return Bad<ArgumentNullException>("GradientNorm..ctor", "null", "accelerator", _ => new GradientNorm(null!, 1));
        yield return Bad<ArgumentOutOfRangeException>("GradientNorm..ctor", "negative", "maxLength", f => new GradientNorm(f.Accelerator, -1));
        yield return Bad<ArgumentNullException>("GradientNorm.Norm", "null", "stream", f => f.Norm.Norm(null!, f.G, f.X.SubView(0, 1)));
        yield return Bad<ArgumentOutOfRangeException>(
            "GradientNorm.Control", "NaN norm", "maxNorm",
            f => f.Norm.Control(f.Stream, [f.G], f.X.SubView(0, 1), f.Y.SubView(0, 2), double.NaN, 1));
        yield return Bad<ArgumentNullException>("LossScaler..ctor", "null", "accelerator", _ => new LossScaler(null!));
        yield return Bad<ArgumentNullException>("LossScaler.Update", "null", "stream", f => f.Scaler.Update(null!, f.Y.SubView(0, 2)));
    }

    private static IEnumerable<BadCall> Tensorwise()
    {
        yield return Bad<ArgumentNullException>("Lamb..ctor", "null", "accelerator", _ => new Lamb(null!, 1));
        yield return Bad<ArgumentOutOfRangeException>("Lamb..ctor", "negative", "segments", f => new Lamb(f.Accelerator, -1));
        yield return Bad<ArgumentException>("Lamb.Step", "short state", "v", f =>
        {
            using var lamb = new Lamb(f.Accelerator, 16);
            lamb.Step(f.Stream, f.P, f.G, f.M, f.V.SubView(0, 3), 1, new LambOptions());
        });
        yield return Bad<ArgumentNullException>("Adafactor..ctor", "null", "accelerator", _ => new Adafactor(null!, 1));
        yield return Bad<ArgumentOutOfRangeException>(
            "Adafactor..ctor", "negative", "shapes", f => new Adafactor(f.Accelerator, [[3, 4], [2, -1]]));
        yield return Bad<ArgumentOutOfRangeException>("Adafactor.Step", "step 0", "step", f =>
        {
            using var adafactor = new Adafactor(f.Accelerator, 16);
            adafactor.Step(f.Stream, f.P, f.G, f.M, default, 0, new AdafactorOptions());
        });
        yield return Bad<ArgumentNullException>("AdaGradNorm..ctor", "null", "accelerator", _ => new AdaGradNorm(null!, 1));
        yield return Bad<ArgumentException>("AdaGradNorm.Step", "the sum is the gradient", null, f =>
        {
            using var norm = new AdaGradNorm(f.Accelerator, 16);
            norm.Step(f.Stream, f.P, f.G, f.Tensors[1].Floats.SubView(0, 1), 1, new AdaGradNormOptions());
        });
        yield return Bad<ArgumentOutOfRangeException>("AdaGradNorm.Step", "step 0", "step", f =>
        {
            using var norm = new AdaGradNorm(f.Accelerator, 16);
            norm.Step(f.Stream, f.P, f.G, f.M.SubView(0, 1), 0, new AdaGradNormOptions());
        });
        foreach (BadCall call in TensorwiseExtras())
        {
            yield return call;
        }

        yield return Bad<ArgumentNullException>("BatchTest..ctor", "null", "accelerator", _ => new BatchTest(null!, 1, 1));
        yield return Bad<ArgumentException>("BatchTest.Run", "a length", "gradients", f =>
        {
            using var test = new BatchTest(f.Accelerator, 2, 8);
            test.Run(f.Stream, f.P.Slice(0, 15), 2, f.X.SubView(0, 1), new BatchTestOptions());
        });
        yield return Bad<ArgumentOutOfRangeException>(
            "BatchTest.NextBatch", "NaN", "statistic", _ => BatchTest.NextBatch(double.NaN, 1, 1));
        yield return Bad<ArgumentNullException>(
            "EightBitAdamLauncher..ctor", "null", "accelerator", _ => new EightBitAdamLauncher(null!, new AdamOptions()));
        yield return Bad<ArgumentOutOfRangeException>(
            "LearningRateSchedule.Cosine", "NaN", "rate", _ => LearningRateSchedule.Cosine(double.NaN, 0, 1));
    }

    private static IEnumerable<BadCall> TensorwiseExtras()
    {
        foreach ((string what, string argument, Func<BadCallFixture, UpdateExtras> extras) in Extras())
        {
            Type exception = what.StartsWith("range", StringComparison.Ordinal)
                ? typeof(ArgumentOutOfRangeException)
                : typeof(ArgumentException);
            yield return new BadCall("Lamb.Step", what, exception, argument, f =>
            {
                using var lamb = new Lamb(f.Accelerator, 16);
                lamb.Step(f.Stream, f.P, f.G, f.M, f.V, 1, new LambOptions(), extras(f));
            });
            yield return new BadCall("Adafactor.Step", what, exception, argument, f =>
            {
                using var adafactor = new Adafactor(f.Accelerator, 16, 1);
                adafactor.Step(f.Stream, f.P, f.G, f.V, f.M.SubView(0, 1), 1, new AdafactorOptions(), extras(f));
            });
            yield return new BadCall("AdaGradNorm.Step", what, exception, argument, f =>
            {
                using var norm = new AdaGradNorm(f.Accelerator, 16);
                norm.Step(f.Stream, f.P, f.G, f.V.SubView(0, 1), 1, new AdaGradNormOptions(), extras(f));
            });
        }
    }

    private static IEnumerable<BadCall> Dense()
    {
        yield return Bad<ArgumentNullException>("MatMul..ctor", "null", "accelerator", _ => new MatMul(null!));
        yield return Bad<ArgumentException>("MatMul.Multiply", "output is an input", null, f =>
            new MatMul(f.Accelerator).Multiply(f.Stream, f.P, false, f.G, false, f.P, 4, 4, 4));
        yield return Bad<ArgumentException>("MatMul.Multiply", "a length", null, f =>
            new MatMul(f.Accelerator).Multiply(f.Stream, f.P, false, f.G, false, f.X, 4, 5, 4));
        yield return Bad<ArgumentNullException>("Activations..ctor", "null", "accelerator", _ => new Activations(null!));
        yield return Bad<ArgumentNullException>("ColumnSum..ctor", "null", "accelerator", _ => new ColumnSum(null!));
        yield return Bad<ArgumentNullException>(
            "SoftmaxCrossEntropy..ctor", "null", "accelerator", _ => new SoftmaxCrossEntropy(null!));
        yield return Bad<ArgumentNullException>("Predictions..ctor", "null", "accelerator", _ => new Predictions(null!));
    }

    private static IEnumerable<BadCall> Files()
    {
        yield return Bad<ArgumentNullException>("SafeTensorsFile..ctor", "null", "stream", _ => new SafeTensorsFile(null!));
        yield return Bad<ArgumentNullException>(
            "SafeTensorsWriter..ctor", "null", "tensors", _ => new SafeTensorsWriter(new MemoryStream(), null!));
        yield return Bad<ArgumentException>(
            "SafeTensorInfo..ctor", "no shape", "shape", _ => new SafeTensorInfo("w", SafeTensorType.F32, -1));
    }

    /// <summary>No public class may be forgotten.</summary>
    [Fact]
    public void Every_public_class_that_can_be_called_has_a_row()
    {
        var members = All().Select(c => c.Member.Split('.')[0]).ToHashSet(StringComparer.Ordinal);
        foreach (Type type in typeof(Session).Assembly.GetExportedTypes()
            .Where(t => t.IsClass && !typeof(OptimizerOptions).IsAssignableFrom(t)))
        {
            bool isRecord = type.GetMethod("<Clone>$") is not null;
            bool canBeCalled = type.GetConstructors().Any(c => c.GetParameters().Length > 0)
                || type.GetMethods().Any(m => m.DeclaringType == type && m.GetParameters().Length > 0 && !m.IsVirtual);
            Assert.True(
                !canBeCalled || members.Contains(type.Name) || (isRecord && type != typeof(Parameter)) || type == typeof(DeviceList),
                $"{type} has no bad call.");
        }
    }

    private static BadCall Bad<TException>(string member, string what, string? argument, Action<BadCallFixture> call)
        where TException : Exception => new(member, what, typeof(TException), argument, call);
}
