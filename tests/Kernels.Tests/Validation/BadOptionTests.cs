using System.Reflection;
using Kernels.Dct;
using Kernels.Optimizers;
using Kernels.Tests.Support;

namespace Kernels.Tests.Validation;

/// <summary>Every numeric option of every optimizer, given what no option may be.</summary>
public sealed partial class BadCallTests
{
    private static IEnumerable<BadCall> Options()
    {
        foreach (Type type in typeof(OptimizerOptions).Assembly.GetTypes()
            .Where(t => !t.IsAbstract && typeof(ElementwiseOptions).IsAssignableFrom(t)))
        {
            foreach (PropertyInfo option in type.GetProperties().Where(p => p.PropertyType == typeof(double)))
            {
                foreach (double value in new[] { double.NaN, -1, double.PositiveInfinity })
                {
                    yield return Bad<ArgumentOutOfRangeException>(
                        "UpdateLauncher..ctor", $"{type.Name}.{option.Name} = {value}", "options", f =>
                        {
                            var options = (ElementwiseOptions)Activator.CreateInstance(type)!;
                            option.SetValue(options, value);
                            _ = new UpdateLauncher(f.Accelerator, options);
                        });
                }
            }
        }

        foreach (BadCall call in MatrixOptions())
        {
            yield return call;
        }

        yield return Bad<ArgumentException>(
            "UpdateLauncher..ctor", "Nesterov without momentum", "options",
            f => _ = new UpdateLauncher(f.Accelerator, new SgdOptions { Nesterov = true }));
        yield return Bad<ArgumentException>(
            "UpdateLauncher..ctor", "fixed decay, coupled", "options",
            f => _ = new UpdateLauncher(f.Accelerator, new AdaBeliefOptions { FixedDecay = true, Decoupled = false }));
        yield return Bad<ArgumentOutOfRangeException>(
            "UpdateLauncher..ctor", "no rule", "options",
            f => _ = new UpdateLauncher(f.Accelerator, new AdamOptions { AmsGradRule = (AmsGradRule)7 }));
    }
    /// <summary>The numbers, sizes and choices of the optimizers of matrices, and of what they leave to AdamW.</summary>
    private static IEnumerable<BadCall> MatrixOptions()
    {
        foreach (Type type in typeof(MatrixOptions).Assembly.GetTypes()
            .Where(t => !t.IsAbstract && typeof(MatrixOptions).IsAssignableFrom(t)))
        {
            foreach (PropertyInfo option in type.GetProperties())
            {
                object[] values = option.PropertyType == typeof(double) ? [double.NaN, -1.0, double.PositiveInfinity]
                    : option.PropertyType == typeof(int) ? [0, -1]
                    : option.PropertyType.IsEnum ? [Enum.ToObject(option.PropertyType, 9)] : [];
                foreach (object value in values)
                {
                    yield return Refused<ArgumentOutOfRangeException>($"{type.Name}.{option.Name} = {value}", () =>
                    {
                        var options = (OptimizerOptions)Activator.CreateInstance(type)!;
                        option.SetValue(options, value);
                        return options;
                    });
                }
            }

            yield return Refused<ArgumentException>($"{type.Name}, coupled decay", () =>
            {
                var options = (MatrixOptions)Activator.CreateInstance(type)!;
                return options with { Decoupled = false };
            });
        }

        foreach ((string what, Func<AdamWOptions, AdamWOptions> spoil) in new (string, Func<AdamWOptions, AdamWOptions>)[]
        {
            ("rate", a => a with { LearningRate = double.NaN }), ("decay", a => a with { WeightDecay = -1 }),
            ("beta1", a => a with { Beta1 = 1 }), ("beta2", a => a with { Beta2 = -0.1 }),
            ("epsilon", a => a with { Epsilon = 0 }),
        })
        {
            yield return Refused<ArgumentOutOfRangeException>(
                $"Muon, side group: {what}", () => new MuonOptions { AdamW = spoil(new AdamWOptions()) });
            yield return Refused<ArgumentOutOfRangeException>(
                $"Trion, side group: {what}", () => new TrionOptions { AdamW = spoil(new AdamWOptions()) });
        }

        yield return Refused<ArgumentNullException>(
            "Muon, no side group", () => new MuonOptions { AdamW = null! }, "options.AdamW");
        yield return Refused<ArgumentNullException>(
            "Trion, no side group", () => new TrionOptions { AdamW = null! }, "options.AdamW");
        yield return Refused<ArgumentException>(
            "Muon, side group: AMSGrad", () => new MuonOptions { AdamW = new() { AmsGrad = true } });
        yield return Refused<ArgumentException>(
            "Trion, side group: climbs alone", () => new TrionOptions { AdamW = new() { Maximize = true } });
        yield return Refused<ArgumentNullException>(
            "DctAdamW, no selection", () => new DctAdamWOptions { Selection = null! }, "options.Selection");
        yield return Refused<ArgumentOutOfRangeException>(
            "DctAdamW, no basis", () => new DctAdamWOptions { Selection = new() { Basis = (Basis)9 } });
        yield return Refused<ArgumentOutOfRangeException>(
            "Trion, no norm", () => new TrionOptions { Selection = new() { Norm = (ColumnNorm)9 } });
        yield return Refused<ArgumentOutOfRangeException>(
            "Trion, no side", () => new TrionOptions { Selection = new() { Side = (ProjectionSide)9 } });
        yield return Bad<ArgumentException>(
            "Optimizer..ctor", "DctAdamW, a matrix of another algorithm", "options", _ => new Optimizer(
                TestDevices.Session, new DctAdamWOptions { Rank = 2 },
                [new Parameter("w", 4, 4) { Options = new TrionOptions { Rank = 2 } }]));

        static BadCall Refused<TException>(string what, Func<OptimizerOptions> options, string argument = "options")
            where TException : Exception => Bad<TException>(
            "Optimizer..ctor", what, argument,
            _ => new Optimizer(TestDevices.Session, options(), [new Parameter("w", 4, 4)]));
    }
}
