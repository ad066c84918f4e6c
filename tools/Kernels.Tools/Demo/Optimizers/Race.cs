using System.Diagnostics;
using Kernels.Optimizers;

namespace Kernels.Tools.Demo.Optimizers;

/// <summary>What an optimizer achieved.</summary>
/// <param name="Contestant">The optimizer.</param>
/// <param name="Losses">Mean training loss of each epoch.</param>
/// <param name="Accuracy">Share of the test digits recognised in the end.</param>
/// <param name="StepMicroseconds">Time of one optimizer step.</param>
internal sealed record RaceResult(
    Contestant Contestant, IReadOnlyList<double> Losses, double Accuracy, double StepMicroseconds);

/// <summary>Trains the same network from the same start on the same batches with one optimizer after the other.</summary>
/// <param name="session">Where.</param>
/// <param name="epochs">How often an optimizer sees the training digits.</param>
/// <param name="hidden">Units of the hidden layers.</param>
internal sealed class Race(Session session, int epochs, params IReadOnlyList<int> hidden)
{
    internal const int BatchSize = 64;

    private const int Seed = 20240607;

    // Steps are timed in rounds, long enough for the runtime to compile them well; the fastest round counts, since
    // anything else on the machine only slows one down.
    private const int RoundSteps = 20;
    private static readonly TimeSpan s_longEnough = TimeSpan.FromSeconds(0.5);

    private readonly (Digits Training, Digits Test) _digits = Digits.Load();

    /// <summary>One training.</summary>
    /// <param name="contestant">The optimizer.</param>
    /// <param name="epochDone">Gets every epoch's number, from 1, and its loss.</param>
    /// <param name="look">Sees every epoch's first gradients before the step.</param>
    /// <param name="trained">Gets the trained network.</param>
    internal RaceResult Run(
        Contestant contestant, Action<int, double> epochDone, Action<Optimizer, Network>? look = null,
        Action<Optimizer, Network>? trained = null)
    {
        IReadOnlyList<Parameter> parameters = Network.Initial(Seed, hidden);
        using var optimizer = new Optimizer(session, contestant.Options, parameters);
        using var network = new Network(session, optimizer, Math.Max(BatchSize, _digits.Test.Count));
        var losses = new double[epochs];
        var random = new Random(Seed);
        int[] order = [.. Enumerable.Range(0, _digits.Training.Count)];
        for (int epoch = 0; epoch < epochs; epoch++)
        {
            random.Shuffle(order);
            Digits digits = _digits.Training.Ordered(order);
            double loss = 0;
            for (int first = 0; first < digits.Count; first += BatchSize)
            {
                int count = Math.Min(BatchSize, digits.Count - first);
                loss += network.Backward(digits, first, count) * count;
                if (first == 0)
                {
                    look?.Invoke(optimizer, network);
                }

                optimizer.Step();
            }

            losses[epoch] = loss / digits.Count;
            epochDone(epoch + 1, losses[epoch]);
        }

        double accuracy = network.Accuracy(_digits.Test);
        trained?.Invoke(optimizer, network);
        return new RaceResult(contestant, losses, accuracy, MeasureStep(optimizer));
    }

    // After the training, since these steps spoil the parameters.
    private double MeasureStep(Optimizer optimizer)
    {
        session.Synchronize();
        long start = Stopwatch.GetTimestamp();
        TimeSpan fastest = TimeSpan.MaxValue;
        do
        {
            long roundStart = Stopwatch.GetTimestamp();
            for (int i = 0; i < RoundSteps; i++)
            {
                optimizer.Step();
            }

            session.Synchronize();
            TimeSpan elapsed = Stopwatch.GetElapsedTime(roundStart);
            fastest = elapsed < fastest ? elapsed : fastest;
        }
        while (Stopwatch.GetElapsedTime(start) < s_longEnough);

        return fastest.TotalMicroseconds / RoundSteps;
    }
}
