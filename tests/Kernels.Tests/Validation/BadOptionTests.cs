using System.Reflection;
using Kernels.Optimizers;

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
}
